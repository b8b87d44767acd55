"""Whole teams on NAS-Bench-201 with scripted models: one that knows, bad ones, faulty answers.

The run's own graph, archive, planner, proposer and critic; only accuracy is looked up. The
models are scripts behind a real chat-completions server. Column cifar10_test_12ep, 960
accelerators, ten seeds, 100 evaluations.

    python -m benchmarks.models.teams --refresh     runs the searches: about half an hour
    python -m benchmarks.models.teams               prints what is recorded
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archwright.agents.hybrid.share import FIRST
from archwright.agents.model.limits import Limits
from archwright.agents.model.port import ModelPort
from archwright.bench_commands import nas201_arena
from archwright.settings import Profile
from archwright.tabular.bench import Arena
from archwright.tabular.crew import Crew, search_with_team
from benchmarks.models import scripts
from benchmarks.models.answers import variant
from benchmarks.models.server import chat_module
from benchmarks.row import Row
from benchmarks.search.standings import SEEDS, TABLE, refresh_if_asked

COLUMN, EVALUATIONS = "cifar10_test_12ep", 100
RULES = "no model"
SHOWN_AT = (25, 50, 100)
FAULTS = 0.3
TIMEOUT_S = 2.0
THROTTLED_AFTER = 5
"""Rounds that asked a bad proposer, after which it must have lost most of its share."""
Networks = Sequence[Mapping[str, Any]]
EVERYONE = ("planner", "proposer", "critic")
RECORDED = Path(__file__).parent / "results" / "teams.csv"


@dataclass(frozen=True)
class Case:
    """A model behind some roles: its script, and what its endpoint can do.

    The script is made of the networks that a knowing model knows, and a seed.

    ``asked`` is the share of the hypervolume without a model that it must reach at the end;
    ``bad`` says that its proposer must lose its share.
    """

    name: str
    script: Callable[[Networks, int], scripts.Script]
    roles: tuple[str, ...]
    asked: float | None = None
    kind: str = "full"
    bad: bool = False
    committee: int = 1


def _sensible(known: Networks, seed: int) -> scripts.Script:
    return scripts.Sensible(variant("good", np.random.default_rng((seed, 99))))


def _faulty(known: Networks, seed: int) -> scripts.Script:
    spoilt: scripts.Script = chat_module("chat_faults").with_faults(
        _sensible(known, seed), FAULTS, seed, delay_s=2 * TIMEOUT_S
    )
    return spoilt


PROPOSER = ("proposer",)
CASES = (
    Case("knows better designs", lambda known, seed: scripts.Knowing(known, False), PROPOSER, 1.0),
    Case("and a better opening", lambda known, seed: scripts.Knowing(known, True), PROPOSER, 1.0),
    Case("sensible", _sensible, EVERYONE),
    Case("sensible, 30% faulty answers", _faulty, EVERYONE, 0.99),
    Case("30% faulty, plain chat only", _faulty, EVERYONE, 0.99, kind="plain"),
    Case("right half of the time", lambda known, seed: scripts.Noisy(known, seed), PROPOSER),
    Case(
        "the same, a committee of 3",
        lambda known, seed: scripts.Noisy(known, seed),
        PROPOSER,
        committee=3,
    ),
    Case("bad: invalid designs", lambda *_: scripts.invalid, PROPOSER, 0.97, bad=True),
    Case("bad: duplicates", lambda *_: scripts.duplicate, PROPOSER, 0.97, bad=True),
    Case("bad: dominated", lambda *_: scripts.Dominated(), PROPOSER, 0.97, bad=True),
    Case("bad: rejects everything", lambda *_: scripts.rejects_everything, ("critic",), 0.97),
    Case("bad: wants to stop", lambda *_: scripts.wants_to_stop, ("planner",), 0.97),
    Case("bad: all of it", lambda *_: scripts.everything_bad(), EVERYONE, 0.97, bad=True),
)


@dataclass(frozen=True)
class Outcome:
    """One search: shares of the true hypervolume, and how the model's part went.

    ``shares`` are the proposer's share at each ask; ``rested`` how many asks of planner and
    critic the rules did without, after they had overruled them; ``failed`` failed asks.
    """

    ratios: tuple[float, ...]
    shares: tuple[float, ...]
    asks: int
    failed: int


def run(arena: Arena, case: Case | None, known: Networks, seed: int) -> Outcome:
    """One search with one seed."""
    if case is None:
        return _outcome(arena, Crew(), seed)
    script = case.script(known, seed)
    with chat_module("chat_server").ChatServer(script, kind=case.kind) as server:
        profile = Profile(base_url=server.base_url, model="scripted", timeout_s=TIMEOUT_S)
        # One endpoint, so one port with one breaker, for all roles: as in a run.
        port = ModelPort(profile, Limits(10**9, 1e6), learn=lambda abilities: None)
        ports = dict.fromkeys(case.roles, port)
        return _outcome(arena, Crew(**ports, committee=case.committee), seed)


def _outcome(arena: Arena, crew: Crew, seed: int) -> Outcome:
    pairings = arena.costed_pairings
    found = search_with_team(arena.tabular, pairings, crew, EVALUATIONS, seed)
    truth = arena.tabular.true_hypervolume
    last = found.hypervolumes[-1]
    curve = [*found.hypervolumes, *[last] * (EVALUATIONS - len(found.hypervolumes))]
    decisions = [row["decision"] for row in found.events if row["kind"] == "decision"]
    answered, instead = (
        sum(decision == what for decision in decisions)
        for what in ("answered", "answered instead of the model")
    )
    shares = tuple(advice.share for advice in found.advice)
    return Outcome(tuple(h / truth for h in curve), shares, answered + instead, instead)


def measure_outcomes(every: Sequence[Case | None] = (None, *CASES)) -> dict[str, list[Outcome]]:
    """Every case over all seeds; None: the rules alone."""
    arena = nas201_arena(TABLE, COLUMN, None, False)
    arena.costed_pairings.catalogue.prepare()
    found: dict[str, list[Outcome]] = {}
    known = scripts.better_networks(arena.tabular, arena.costed_pairings)
    for case in every:
        name = RULES if case is None else case.name
        for seed in range(SEEDS):
            found.setdefault(name, []).append(run(arena, case, known, seed))
            print(f"{name}, seed {seed}: {found[name][-1].ratios[-1]:.4f}", file=sys.stderr)
    return found


def record(outcomes: Mapping[str, list[Outcome]]) -> None:
    """Keep outcomes: a row for each search."""
    RECORDED.parent.mkdir(exist_ok=True)
    with RECORDED.open("w", newline="") as file:
        writer = csv.writer(file)
        places = [f"ratio_at_{place}" for place in SHOWN_AT]
        writer.writerow(["model", "seed", *places, "share_after", "last_share", "asks", "failed"])
        for name, searches in outcomes.items():
            for seed, one in enumerate(searches):
                ratios = [f"{one.ratios[place - 1]:.6f}" for place in SHOWN_AT]
                early = (*one.shares, *one.shares[-1:] * THROTTLED_AFTER)[:THROTTLED_AFTER]
                ends = [early[-1], one.shares[-1]] if one.shares else [FIRST, FIRST]
                shares = [f"{share:.4f}" for share in ends]
                writer.writerow([name, seed, *ratios, *shares, one.asks, one.failed])


def measure() -> list[Row]:
    """Medians over the seeds, as shares of the rules' median."""
    with RECORDED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["model"] for row in rows))

    def median(name: str, column: str) -> float:
        return float(np.median([float(row[column]) for row in rows if row["model"] == name]))

    last = f"ratio_at_{SHOWN_AT[-1]}"
    asked = {case.name: case for case in CASES}
    table = []
    for name in names:
        ratios = ", ".join(f"{median(name, f'ratio_at_{place}'):.4f}" for place in SHOWN_AT)
        share = median(name, last) / median(RULES, last)
        case = asked.get(name)
        least = case.asked if case else None
        what = f"{name}: hypervolume at {', '.join(map(str, SHOWN_AT))}; of no model's"
        met = None if least is None else share >= least
        words = "" if least is None else f">= {least}"
        table.append(Row(what, words, f"{ratios}; {share:.4f}", met))
        if case is not None and "proposer" in case.roles:
            after, end = median(name, "share_after"), median(name, "last_share")
            what = f"{name}: share after {THROTTLED_AFTER} asks, at the end"
            met = after < FIRST / 3 if case.bad else None
            table.append(Row(what, "< 10%" if case.bad else "", f"{after:.0%}, {end:.0%}", met))
    return table


def main() -> None:
    if refresh_if_asked(__doc__ or ""):
        record(measure_outcomes())
    for row in measure():
        print(f"{row.what}: {row.reached}{f' (asked {row.asked})' if row.asked else ''}")


if __name__ == "__main__":
    main()
