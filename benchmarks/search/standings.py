"""Standings of strategies on a NAS-Bench-201 column: measured, recorded, and read again."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from archwright.bench_commands import nas201_arena
from archwright.front import Floats
from archwright.tabular.bench import Arena, Standing, Terms, compare
from archwright.tabular.entrants import parse_entrants

RESULTS = Path(__file__).parent / "results"
SHARED = Path(os.environ.get("ARCHWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))
TABLE = SHARED / "data" / "nas201_cifar10.csv.gz"
BASELINES = ("random", "evolution", "nsga2:10", "nsga2:20", "nsga2:40", "tpe")
SEEDS, EVALUATIONS = 10, 300


def measure_standings(
    column: str, labels: Sequence[str], report: str | None = None, structure: bool = True
) -> dict[str, Standing]:
    """What the command ``archwright bench search`` measures.

    Without ``structure`` strategies see a cell as six words and its size, no more.
    """
    make = partial(nas201_arena, TABLE, column, report, False)
    arena = make()
    if not structure:
        bare = replace(arena.tabular.problem, promise=None, features=None)
        arena = Arena(replace(arena.tabular, problem=bare), arena.reported)

    def listener(what: str, done: int, total: int) -> None:
        if done % 500 == 0:
            print(f"{done} of {total} evaluations ({what})", file=sys.stderr, flush=True)

    entrants = parse_entrants(",".join(labels), hardware=True)
    terms = Terms(EVALUATIONS)
    return compare(make, arena, entrants, SEEDS, terms, listener=listener)


def record(standings: Mapping[str, Standing], path: Path) -> None:
    """Keep standings: a row for each strategy and evaluation."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["strategy", "evaluations", "median", "worst"])
        for label, standing in standings.items():
            for k, (median, worst) in enumerate(zip(standing.median, standing.worst, strict=True)):
                writer.writerow([label, k + 1, f"{median:.6f}", f"{worst:.6f}"])
            ends = (standing.reported_median, standing.reported_worst)
            if None not in ends:
                writer.writerow([label, "reported", *(f"{end:.6f}" for end in ends)])


def read(path: Path) -> dict[str, Standing]:
    """What was recorded; seconds are not."""
    rows: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["strategy"], []).append(row)
    return {label: _standing(own) for label, own in rows.items()}


def _standing(rows: Sequence[Mapping[str, str]]) -> Standing:
    curve = [row for row in rows if row["evaluations"] != "reported"]
    ends = [row for row in rows if row["evaluations"] == "reported"]
    median, worst = (np.array([float(row[name]) for row in curve]) for name in ("median", "worst"))
    reported = (float(ends[0]["median"]), float(ends[0]["worst"])) if ends else (None, None)
    return Standing(median, worst, float("nan"), *reported)


def first_at(curve: Floats, level: float) -> int | None:
    """After how many evaluations a curve first reaches ``level``; None where it does not."""
    reached = np.flatnonzero(curve >= level)
    return int(reached[0]) + 1 if len(reached) else None


def refresh_if_asked(about: str) -> bool:
    """Whether the module's command line asks to measure anew."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--refresh", action="store_true")
    return bool(parser.parse_args().refresh)
