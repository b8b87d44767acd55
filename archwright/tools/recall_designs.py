"""The tool that brings back designs of past runs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from archwright.border import Table
from archwright.brief import parse_brief
from archwright.errors import UserError
from archwright.memory.recall import Query
from archwright.space import Value
from archwright.tools.check_brief import BriefArgument
from archwright.tools.desk import Desk
from archwright.tools.simulate_hardware import PointArgument
from archwright.tools.tool import Tool


class RecallDesigns(Table):
    """What to recall by: a brief, a network, a hardware, or several of them."""

    brief: BriefArgument | None = None
    network: PointArgument | None = None
    hardware: PointArgument | None = None
    designs: int = Field(default=5, ge=1, le=50, description="at most so many")


class RecalledDesign(BaseModel):
    """A design of a past run. Its numbers are memories of that run, not measurements here."""

    key: str
    run: str
    brief: str
    network: dict[str, Value]
    hardware: dict[str, Value]
    accuracy: float
    costs: dict[str, float]
    similarity: float = Field(description="1 for the same, less for others")


class RecalledDesigns(BaseModel):
    """The most similar first; ``skipped`` says which runs could not be read, and why."""

    designs: list[RecalledDesign]
    skipped: list[str]


def _recall(arguments: RecallDesigns, desk: Desk) -> RecalledDesigns:
    """Recall designs of past runs that are similar to a brief, a network or a hardware."""
    if arguments.brief is None and arguments.network is None and arguments.hardware is None:
        raise UserError("recall_designs: brief, network or hardware: at least one is needed")
    query = Query(
        brief=None if arguments.brief is None else parse_brief(arguments.brief),
        network=arguments.network,
        hardware=arguments.hardware,
    )
    found = desk.memory.recall(query, arguments.designs)
    return RecalledDesigns(
        designs=[
            RecalledDesign(
                key=recalled.design.key,
                run=recalled.run,
                brief=recalled.brief,
                network=dict(recalled.design.network),
                hardware=dict(recalled.design.hardware),
                accuracy=recalled.accuracy,
                costs=dict(recalled.costs),
                similarity=recalled.similarity,
            )
            for recalled in found.designs
        ],
        skipped=list(found.skipped),
    )


recall_designs = Tool("recall_designs", RecallDesigns, RecalledDesigns, _recall)
