"""What the graph keeps between nodes: counters, the plan and keys; designs live in the archive."""

from __future__ import annotations

from typing import TypedDict


class State(TypedDict):
    """What LangGraph keeps between nodes.

    ``focus`` is the plan's: in how many choices a network may differ from the front's, 0 for
    the whole space. ``sent_back`` counts designs of the last batch that the critic wants better
    ones for. ``hypervolumes`` and ``expected_gains`` hold one value a round.
    """

    step: int
    phase: str
    focus: int
    rounds_in_phase: int
    wanted: int
    attempt: int
    accepted: list[str]
    sent_back: int
    empty_rounds: int
    hypervolumes: list[float]
    expected_gains: list[float | None]
    seconds: float
    spent: dict[str, float]
    stop: str
    unfinished: bool


def first_state() -> State:
    """The state before the first step."""
    return State(
        step=0,
        phase="",
        focus=0,
        rounds_in_phase=0,
        wanted=0,
        attempt=0,
        accepted=[],
        sent_back=0,
        empty_rounds=0,
        hypervolumes=[],
        expected_gains=[],
        seconds=0.0,
        spent={},
        stop="",
        unfinished=False,
    )
