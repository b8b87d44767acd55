"""What a memory of past runs saves, and what a wrong one costs.

A first brief searches cifar10_val_12ep on all 960 accelerators; a second one
cifar10_test_200ep on 270 others, with bounds on area and latency. No look-up is shared.
The second is searched without memory, with the first run's, with that of which three in
ten accuracies are falsified, and with those of unrelated tasks: the first run's accuracies
dealt out to other networks, and turned upside down. Ten seeds each.

    python -m benchmarks.search.warm_start --refresh     runs the searches: some minutes
    python -m benchmarks.search.warm_start               prints what is recorded
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from archwright.agents.frontier import Pairings
from archwright.agents.problem import PastNetworks, Problem
from archwright.agents.strategies import Strategy, make_strategy
from archwright.brief import Constraint
from archwright.space import Value
from archwright.tabular.bench import Arena, Standing, Terms, search
from archwright.tabular.entrants import Entrant
from archwright.tabular.nas201 import accelerator_space, nas201
from archwright.tabular.table import read_table
from benchmarks.row import Row
from benchmarks.search.standings import (
    RESULTS,
    SEEDS,
    TABLE,
    first_at,
    read,
    record,
    refresh_if_asked,
)

FIRST, SECOND = "cifar10_val_12ep", "cifar10_test_200ep"
OTHER_HARDWARE: dict[str, Sequence[Value]] = {
    "rows": [8, 16, 32],
    "columns": [8, 16, 32],
    "dataflow": ["os", "ws"],
    "bytes_per_cycle": [4, 8, 16],
}
BOUNDS = {"area_mm2": Constraint(at_most=3.0), "latency_ms": Constraint(at_most=5.0)}
EVALUATIONS, FALSIFIED, FROM = 200, 0.3, 10
"""What a wrong memory costs is counted from 10 evaluations on: two batches."""
OFF, ON = "memory off", "memory on"
WRONG = ("30% falsified", "unrelated: dealt out", "unrelated: upside down")
RECORDED = RESULTS / "warm_start.csv"
LEVELS = (0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
SHOWN_AT = (5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class Remembering(Entrant):
    """The surrogate with what a past run measured."""

    past: tuple[PastNetworks, ...] = ()

    def make(self, problem: Problem, pairings: Pairings, seed: tuple[int, ...]) -> Strategy:
        """The strategy, as for one step of a run."""
        return make_strategy(self.strategy, problem, pairings, seed, past=self.past)


def measure_standings() -> dict[str, Standing]:
    """Shares of the second brief's true hypervolume, by memory."""
    table = read_table(TABLE)
    first = Arena(nas201(table, FIRST))
    hardware = accelerator_space().restrict(OTHER_HARDWARE)
    second = Arena(nas201(table, SECOND, hardware, BOUNDS))
    truth, terms = second.tabular.true_hypervolume, Terms(EVALUATIONS)
    curves: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {}
    for seed in range(SEEDS):
        found = search(first, Entrant("surrogate", "surrogate", True), 100 + seed, terms)
        rows = np.stack([network.row for network in found.known])
        accuracies = np.array([network.accuracy for network in found.known])
        measured = PastNetworks("first", rows, accuracies)
        for name, past in _memories(measured, seed).items():
            entrant = Remembering(name, "surrogate", True, past=past)
            result = search(second, entrant, seed, terms)
            curves.setdefault(name, []).append(result.hypervolumes / truth)
            print(f"seed {seed}, {name}", file=sys.stderr, flush=True)
    return {
        name: Standing(np.median(own, axis=0), np.min(own, axis=0), float("nan"))
        for name, own in curves.items()
    }


def _memories(measured: PastNetworks, seed: int) -> dict[str, tuple[PastNetworks, ...]]:
    rng = np.random.default_rng((seed, 77))
    true = measured.accuracies
    wrong = rng.random(len(true)) < FALSIFIED
    falsified = np.where(wrong, rng.random(len(true)), true)
    memories = (falsified, rng.permutation(true), true.max() + true.min() - true)
    return {
        OFF: (),
        ON: (measured,),
        **{
            name: (replace(measured, accuracies=of),)
            for name, of in zip(WRONG, memories, strict=True)
        },
    }


def measure() -> list[Row]:
    """Evaluations to the same hypervolume, and what a wrong memory costs at equal evaluations."""
    standings = read(RECORDED)
    off, on = standings[OFF], standings[ON]
    rows = []
    for level in LEVELS:
        alone, needed = first_at(off.median, level), first_at(on.median, level)
        met = None if alone is None else needed is not None and needed <= alone / 2
        what = f"evaluations to {level:g}, {ON} against off"
        rows.append(Row(what, "at most half", f"{needed} against {alone}", met))
    for name in WRONG:
        allowed = 0.02 if name == WRONG[0] else 0.05
        lost = 1 - standings[name].median / off.median
        worst = int(np.argmax(lost[FROM - 1 :])) + FROM
        reached = f"{max(lost[worst - 1], 0.0):.2%} (at {worst})"
        asked = f"<= {allowed:.0%} of {OFF}"
        rows.append(
            Row(f"{name}: most lost from {FROM} on", asked, reached, lost[worst - 1] <= allowed)
        )
    for name, s in standings.items():
        reached = ", ".join(f"{s.median[n - 1]:.4f}" for n in SHOWN_AT)
        rows.append(Row(f"{name}: median at {', '.join(map(str, SHOWN_AT))}", "", reached, None))
    return rows


def main() -> None:
    if refresh_if_asked(__doc__ or ""):
        record(measure_standings(), RECORDED)
    for row in measure():
        print(f"{row.what}: {row.reached}")


if __name__ == "__main__":
    main()
