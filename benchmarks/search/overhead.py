"""What a strategy takes for a design while the archive grows: made, told and asked for five.

NAS-Bench-201 with 960 accelerators. What is remembered of the problem (costs, features of
all 15,625 networks) is there already: it is computed once for all searches.
"""

from __future__ import annotations

import time

import numpy as np

from archwright.agents.problem import History
from archwright.agents.strategies import make_strategy
from archwright.tabular.bench import Arena
from archwright.tabular.nas201 import nas201
from archwright.tabular.table import read_table
from benchmarks.row import Row
from benchmarks.search.standings import TABLE

COLUMN, BATCH, REPEATS = "cifar10_test_12ep", 5, 7
ARCHIVED = (100, 1000)
LIMIT_MS = 50.0


def measure() -> list[Row]:
    """Milliseconds a design, the median of some batches on one thread."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    arena = Arena(nas201(read_table(TABLE), COLUMN))
    problem, pairings = arena.tabular.problem, arena.costed_pairings
    rng, rows = np.random.default_rng(0), []
    with threadpool_limits(1):
        for archived in ARCHIVED:
            networks = arena.tabular.networks[rng.permutation(problem.network_space.size)]
            known = arena.tabular.evaluate(networks[:archived], 0)
            history = History(known, frozenset(e.key for e in known))
            took = []
            for repeat in range(REPEATS + 1):
                began = time.perf_counter()
                strategy = make_strategy("surrogate", problem, pairings, (repeat,))
                strategy.tell(history)
                strategy.ask(BATCH)
                took.append((time.perf_counter() - began) / BATCH * 1000)
            per_design = float(np.median(took[1:]))  # the first fills what is remembered
            asked = f"<= {LIMIT_MS:g} ms" if archived == max(ARCHIVED) else ""
            met = per_design <= LIMIT_MS if asked else None
            what = f"surrogate, a design at {archived} in the archive"
            rows.append(Row(what, asked, f"{per_design:.0f} ms", met))
    return rows


if __name__ == "__main__":
    for row in measure():
        print(f"{row.what}: {row.reached}")
