"""The tools that start, watch and stop a search. A search outlives whoever started it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from archwright.border import Table
from archwright.tools.archived import RunArgument
from archwright.tools.check_brief import BriefArgument, accepted_brief
from archwright.tools.desk import Desk, RunState
from archwright.tools.tool import Tool


class StartSearch(Table):
    """What to search for, and how long at most."""

    brief: BriefArgument
    hours: float | None = Field(
        default=None, gt=0, le=1000, description="instead of the brief's budget of hours"
    )


class StartedSearch(BaseModel):
    """The run to ask for with search_status."""

    run: str
    folder: str


class OneRun(Table):
    """Which run."""

    run: RunArgument


def _start(arguments: StartSearch, desk: Desk) -> StartedSearch:
    """Start a search for the front of designs that a brief asks for; returns its id at once."""
    run = desk.runs.start(accepted_brief(arguments.brief, desk), arguments.hours)
    return StartedSearch(run=run, folder=desk.runs.status(run).folder)


def _status(arguments: OneRun, desk: Desk) -> RunState:
    """Say how a run stands: phase, evaluations, hypervolume, best so far, time left."""
    return desk.runs.status(arguments.run)


def _stop(arguments: OneRun, desk: Desk) -> RunState:
    """Stop a run: it ends after the evaluation at hand, with a report of what it found."""
    return desk.runs.stop(arguments.run)


start_search = Tool(
    "start_search", StartSearch, StartedSearch, _start, reads_only=False, repeatable=False
)
search_status = Tool("search_status", OneRun, RunState, _status)
stop_search = Tool("stop_search", OneRun, RunState, _stop, reads_only=False)
