"""Whole teams on NAS-Bench-201 with scripted models: one that knows, bad ones, faulty answers.

The run's own graph, archive, planner, proposer and critic; only accuracy is looked up. The
models are scripts behind a real chat-completions server. Column cifar10_test_12ep, 960
accelerators, ten seeds, 100 evaluations.

    python -m benchmarks.models.teams --refresh     runs the searches: about half an hour
    python -m benchmarks.models.teams               prints what is recorded
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archwright.agents.frontier import Pairings
from archwright.tabular.problem import TabularProblem
from benchmarks.models import scripts
from benchmarks.models.server import chat_module

COLUMN, EVALUATIONS = "cifar10_test_12ep", 100
RULES = "no model"
SHOWN_AT = (25, 50, 100)
FAULTS = 0.3
THROTTLED_AFTER = 5
"""Rounds in which a bad proposer must have lost its share."""


@dataclass(frozen=True)
class Case:
    """A model behind some roles: its script for a seed, and what its endpoint can do."""

    name: str
    script: Callable[[int], scripts.Script]
    roles: tuple[str, ...]
    asked: float | None
    kind: str = "full"


def cases(tabular: TabularProblem, pairings: Pairings) -> tuple[Case, ...]:
    """Every model that is compared with none; ``asked`` is the share of its hypervolume."""
    known = scripts.better_networks(tabular, pairings)
    everyone = ("planner", "proposer", "critic")

    def knowing(opening: bool) -> Callable[[int], scripts.Script]:
        return lambda seed: scripts.Knowing(known, opening)

    def faulty(seed: int) -> scripts.Script:
        spoilt: scripts.Script = chat_module("chat_faults").with_faults(
            scripts.Sensible(known, seed), FAULTS, seed
        )
        return spoilt

    return (
        Case("knows better designs", knowing(opening=False), ("proposer",), 1.0),
        Case("knows a better opening, too", knowing(opening=True), ("proposer",), 1.0),
        Case("sensible", lambda seed: scripts.Sensible(known, seed), everyone, None),
        Case(f"sensible, {FAULTS:.0%} faulty answers", faulty, everyone, 0.99),
        Case("the same, plain chat only", faulty, everyone, 0.99, kind="plain"),
        Case("bad: invalid designs", lambda seed: scripts.invalid, ("proposer",), 0.97),
        Case("bad: duplicates", lambda seed: scripts.duplicate, ("proposer",), 0.97),
        Case("bad: dominated designs", lambda seed: scripts.Dominated(), ("proposer",), 0.97),
        Case("bad: rejects everything", lambda seed: scripts.rejects_everything, ("critic",), 0.97),
        Case("bad: wants to stop", lambda seed: scripts.wants_to_stop, ("planner",), 0.97),
        Case("bad: all of it", lambda seed: scripts.everything_bad(), everyone, 0.97),
    )
