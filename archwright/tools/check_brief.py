"""The tool that says whether a brief can be worked on, and how it was understood."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from archwright.border import Table
from archwright.brief import Brief, has_name, parse_brief
from archwright.errors import UserError
from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import InputShape, load_data, network_space
from archwright.settings import check_outside_brief
from archwright.space import Space
from archwright.tools.desk import Desk
from archwright.tools.tool import Tool

BriefArgument = Annotated[
    dict[str, Any],
    Field(
        description="a brief as an object: name, task {data}, objectives {metric: maximise or "
        "minimise}, constraints {metric: {at_most, at_least}}, network {choices}, hardware "
        "{choices or fixed}, search {strategy, patience, committee}, budget {evaluations, hours; "
        "for language models tokens, dollars, requests, model_hours and round {requests, tokens, "
        "dollars, seconds}}, seed",
        max_length=16,
    ),
]


class CheckBrief(Table):
    """A brief to check."""

    brief: BriefArgument


class CheckedBrief(BaseModel):
    """How the brief was understood, defaults included; nothing has been spent."""

    ok: bool
    problem: str = Field(description="what is wrong, in one line; empty when nothing is")
    brief: dict[str, Any] = Field(
        description="the whole brief as it will be worked on; empty when something is wrong"
    )
    images: dict[str, int] = Field(description="images by split")
    classes: int
    networks: int = Field(description="networks in the space")
    hardware: int = Field(description="hardware points in the space")


def accepted_brief(table: dict[str, Any], desk: Desk) -> Brief:
    """A brief from outside, as it may be worked on. Raises :class:`UserError`."""
    brief = parse_brief(table)
    for profile in brief.models.values():
        desk.settings.profile(profile)
    return _from_here(brief) if desk.trusted else check_outside_brief(brief, desk.settings)


def _from_here(brief: Brief) -> Brief:
    """The brief of the user at this machine: a data path starts where the user is."""
    if has_name(brief.task.data):
        return brief
    try:
        data = str(Path(brief.task.data).expanduser().absolute())
    except RuntimeError:  # ~ of nobody
        return brief
    return brief.model_copy(update={"task": brief.task.model_copy(update={"data": data})})


def spaces_of(brief: Brief, shape: InputShape) -> tuple[Space, Space]:
    """The network space and the hardware space of an accepted brief."""
    networks = network_space(shape, brief.network.space).restrict(brief.network.choices)
    fixed = brief.hardware.fixed
    choices = brief.hardware.choices if fixed is None else {c: [v] for c, v in fixed.items()}
    return networks, hardware_space(brief.hardware.space).restrict(choices)


def _check(arguments: CheckBrief, desk: Desk) -> CheckedBrief:
    """Check a brief before anything is spent: what is wrong with it, or how it was understood."""
    try:
        brief = accepted_brief(arguments.brief, desk)
        desk.runs.check(brief)
    except UserError as error:
        return CheckedBrief(
            ok=False,
            problem=str(error),
            brief={},
            images={},
            classes=0,
            networks=0,
            hardware=0,
        )
    data = load_data(brief.task, brief.seed)
    networks, hardware = spaces_of(brief, data.shape)
    return CheckedBrief(
        ok=True,
        problem="",
        brief=brief.model_dump(mode="json", exclude_none=True),
        images={split: len(data.split(split)) for split in ("train", "validation", "test")},
        classes=data.classes,
        networks=networks.size,
        hardware=hardware.size,
    )


check_brief = Tool("check_brief", CheckBrief, CheckedBrief, _check)
