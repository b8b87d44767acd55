"""What a model's opening saves, and what a bad one costs: recorded ones, replayed.

Three openings for NAS-Bench-201 (``answers``), recorded from a scripted endpoint and replayed
behind the hybrid: column cifar10_test_12ep, 960 accelerators, batches of 5, ten seeds. After
the opening the transcripts hold nothing, so the surrogate goes on alone. Each search is also
made with openings that a seed draws from a longer list of the same kind: a search of a table
that is known whole has little chance in it, and one list is one trial.

    python -m benchmarks.models.openings --refresh    records and runs: about 10 minutes
    python -m benchmarks.models.openings              prints what is recorded
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from archwright.bench_commands import nas201_arena
from archwright.brief import Budget
from archwright.settings import Profile, Settings
from archwright.tabular.advised import Adviser
from archwright.tabular.bench import Arena, Standing, Terms, search
from archwright.tabular.entrants import Entrant, parse_entrants
from benchmarks.models.answers import OPENINGS, variant
from benchmarks.models.server import chat_module
from benchmarks.row import Row
from benchmarks.search.standings import (
    SEEDS,
    TABLE,
    first_at,
    read,
    record,
    refresh_if_asked,
)

COLUMN, EVALUATIONS, LEVEL = "cifar10_test_12ep", 100, 0.99
ALONE = "no model"
FOLDER = Path(__file__).parent
TRANSCRIPTS = FOLDER / "openings"
RECORDED = FOLDER / "results" / "openings.csv"
ASKED = {"good": 40, "middling": 60}
LATER = 10
"""Evaluations that a worthless opening may cost."""


def transcript(name: str) -> Path:
    """Where an opening's transcript is."""
    return TRANSCRIPTS / f"{name}.jsonl"


def record_opening(arena: Arena, answer: Mapping[str, Any], path: Path) -> None:
    """Ask the scripted endpoint for an opening, as a search does, and keep what it says."""
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with chat_module("chat_server").ChatServer(lambda request, number: dict(answer)) as server:
        settings = Settings(models={"recorded": Profile(base_url=server.base_url, model="opening")})
        adviser = Adviser(settings, "recorded", Budget(evaluations=1), record=path)
        [hybrid] = parse_entrants("hybrid", hardware=True, adviser=adviser)
        search(arena, hybrid, 0, Terms(10))


def replaying(path: Path) -> Entrant:
    """The hybrid with a transcript behind it."""
    adviser = Adviser(Settings(), "recorded", Budget(evaluations=1), replay=path)
    [hybrid] = parse_entrants("hybrid", hardware=True, adviser=adviser)
    return hybrid


def measure_standings() -> dict[str, Standing]:
    """Every opening, and none, over all seeds."""
    arena = nas201_arena(TABLE, COLUMN, None, False)
    for name, answer in OPENINGS.items():
        record_opening(arena, answer, transcript(name))
    [alone] = parse_entrants("surrogate", hardware=True)
    standings = {ALONE: _over_seeds(ALONE, arena, lambda seed: alone)}
    for name in OPENINGS:
        one = partial(_same, replaying(transcript(name)))
        standings[name] = _over_seeds(name, arena, one)
    with TemporaryDirectory() as folder:
        for name in OPENINGS:
            drawn = partial(_drawn, arena, name, Path(folder))
            standings[f"{name}, drawn"] = _over_seeds(f"{name}, drawn", arena, drawn)
    return standings


def _same(entrant: Entrant, seed: int) -> Entrant:
    return entrant


def _drawn(arena: Arena, name: str, folder: Path, seed: int) -> Entrant:
    """A hybrid whose opening the seed draws from the longer list of the kind."""
    path = folder / f"{name}-{seed}.jsonl"
    record_opening(arena, variant(name, np.random.default_rng((seed, 99))), path)
    return replaying(path)


def _over_seeds(label: str, arena: Arena, entrant: Callable[[int], Entrant]) -> Standing:
    truth, curves = arena.tabular.true_hypervolume, []
    for seed in range(SEEDS):
        one = entrant(seed)
        one.prepare(arena.costed_pairings)
        curves.append(search(arena, one, seed, Terms(EVALUATIONS)).hypervolumes / truth)
        print(f"{label}, seed {seed}", file=sys.stderr, flush=True)
    return Standing(np.median(curves, axis=0), np.min(curves, axis=0), float("nan"))


def measure() -> list[Row]:
    """Evaluations to 0.99 of the true hypervolume."""
    standings = read(RECORDED)
    first = {label: first_at(standing.median, LEVEL) for label, standing in standings.items()}
    rows = []
    for label, reached in first.items():
        kind = label.partition(",")[0]
        most = ASKED.get(kind)
        if kind == "worthless" and first[ALONE] is not None:
            most = (first[ALONE] or 0) + LATER
        met = None if most is None else reached is not None and reached <= most
        asked = "" if most is None else f"<= {most}"
        median = standings[label].median
        words = ", ".join(f"{median[n - 1]:.4f}" for n in (10, 20, 40, 60, 100))
        rows.append(Row(f"{label}: evaluations to {LEVEL}", asked, f"{reached}", met))
        rows.append(Row(f"{label}: median at 10, 20, 40, 60, 100", "", words, None))
    return rows


def main() -> None:
    if refresh_if_asked(__doc__ or ""):
        record(measure_standings(), RECORDED)
    for row in measure():
        print(f"{row.what}: {row.reached}{f' (asked {row.asked})' if row.asked else ''}")


if __name__ == "__main__":
    main()
