"""A small real problem: mbconv networks on 8x8 digits, a small systolic hardware space.

Costs come from the analytical model. Accuracy comes from a table: a smooth function of
the network plus seeded noise, so that a strategy can be judged in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from archwright.agents.approval import give_word, make_word, waiting_batch
from archwright.agents.costing import EXHAUSTIVE, Costing, NothingFree
from archwright.agents.critic import RuleBasedCritic
from archwright.agents.evaluator import Laboratory, RuleBasedEvaluator
from archwright.agents.frontier import Pairings
from archwright.agents.graph import STOPPED_BY_USER, build_graph
from archwright.agents.model.limits import Spent
from archwright.agents.planner import RuleBasedPlanner
from archwright.agents.problem import Evaluated, History, Problem
from archwright.agents.proposer import RuleBasedProposer
from archwright.agents.recollection import Recollection
from archwright.agents.state import first_state
from archwright.agents.team import Clock, Team
from archwright.brief import Constraint, parse_brief
from archwright.design import Design, Origin
from archwright.evaluators.hardware import AnalyticalEvaluator, hardware_space
from archwright.evaluators.supernet.space import InputShape, network_space, workload_of
from archwright.events import EventLog
from archwright.front import Bound, Score, bounds_from_sample
from archwright.measurement import Failure, Fidelity, Measurement, Outcome
from archwright.memory.archive import Archive
from archwright.space import Choice, Point, Space, point_hash

DIGITS = InputShape(channels=1, side=8, classes=10)
WORKLOAD_OF = partial(workload_of, shape=DIGITS)
SMALL_HARDWARE = {
    "rows": [8, 16],
    "columns": [8, 16],
    "dataflow": ["os", "ws"],
    "input_buffer_kib": [8],
    "weight_buffer_kib": [8],
    "output_buffer_kib": [8],
    "dram_gb_per_s": [1.0, 4.0],
    "clock_mhz": [200, 800],
}
OBJECTIVES = ("accuracy", "latency_ms", "energy_uj")


def table_accuracy(network: Point) -> float:
    """Accuracy on 400 images: rises with size, depth, kernels and resolution; some noise."""
    workload = WORKLOAD_OF(network)
    quality = 1.1 * np.log10(workload.parameters) + 0.5 * np.log10(workload.macs) - 4.5
    quality += 0.15 * (network["kernel_2"] == 5) + 0.12 * int(network["depth_2"])
    quality -= 0.1 * abs(int(network["expansion_3"]) - 2)
    quality += 0.12 * (int(network["resolution"]) - 6) + 0.05 * (network["bits"] == 16)
    expected = 0.1 + 0.89 / (1.0 + np.exp(-1.6 * (quality - 1.2)))
    noise = np.random.default_rng(int(point_hash(network), 16)).standard_normal()
    noisy = expected + noise * np.sqrt(expected * (1.0 - expected) / 400)
    return float(np.clip(round(noisy * 400) / 400, 0.0, 1.0))


def make_problem(
    objectives: Sequence[str] = OBJECTIVES,
    networks: Mapping[str, Sequence[Any]] | None = None,
    hardware: Mapping[str, Sequence[Any]] | None = None,
    constraints: Mapping[str, Mapping[str, float]] | None = None,
    exhaustive: int = EXHAUSTIVE,
    score: Score | None = None,
) -> Problem:
    """A problem on restricted spaces; by default 64 hardware points and bounds of its own."""
    network = network_space(DIGITS).restrict(networks or {})
    device = hardware_space().restrict(SMALL_HARDWARE if hardware is None else hardware)
    costing = Costing(network, device, WORKLOAD_OF, 0, exhaustive)
    if score is None:
        rng = np.random.default_rng(0)
        sample = costing.zip(network.sample(rng, 512), device.sample(rng, 512))
        score = Score(bounds_from_sample(objectives, DIGITS.classes, sample))
    bounds = {name: Constraint(**bound) for name, bound in (constraints or {}).items()}
    return Problem(network, device, score, costing, bounds)


def make_black_box(
    metrics: Sequence[str], size: int = 4, operators: Sequence[str] = ("conv", "pool", "skip")
) -> tuple[Problem, Callable[..., tuple[Evaluated, ...]]]:
    """A problem of which nothing is free, and what measures its networks.

    Three numbers of ``size`` values each and a word; all metrics are minimised and at odds.
    """
    numbers = [Choice(name, tuple(range(1, size + 1)), name) for name in ("a", "b", "c")]
    space = Space("black box", (*numbers, Choice("operator", tuple(operators), "a word")))
    score = Score(tuple(Bound(metric, 0.0, 1.0, log=False, maximise=False) for metric in metrics))
    costing = NothingFree(space)
    problem = Problem(space, costing.hardware_space, score, costing, learned=tuple(metrics))

    def measure(rows: Sequence[Any], step: int = 0) -> tuple[Evaluated, ...]:
        found = []
        for row in rows:
            a, b, c, word = (np.asarray(row) + 1) / np.array(space.shape)
            delay, area = (a + c * c) / 2, (b + c) / 2
            every = {"error": 1 - (a + b + word) / 3, "delay": delay, "area": area}
            key = point_hash(space.decode(row[None])[0])
            measured = {metric: float(every[metric]) for metric in metrics}
            found.append(Evaluated(key, f"design-{key}", np.asarray(row), measured, step))
        return tuple(found)

    return problem, measure


def smallest(**counts: int) -> dict[str, list[Any]]:
    """The network space's first value of each choice, and the first few of those named."""
    return {c.name: list(c.values[: counts.get(c.name, 1)]) for c in network_space(DIGITS).choices}


def evaluate(
    problem: Problem,
    rows: Sequence[Any],
    step: int = 0,
    accuracy: Callable[[Point], float] = table_accuracy,
) -> tuple[Evaluated, ...]:
    """Networks, given as rows of indices, with their accuracies."""
    found = []
    for row in rows:
        network = problem.network_space.decode(row[None])[0]
        key = point_hash(network)
        measured = {"accuracy": accuracy(network)}
        found.append(Evaluated(key, f"design-{key}", np.asarray(row), measured, step))
    return tuple(found)


def history_of(evaluated: Sequence[Evaluated], failed: Sequence[str] = ()) -> History:
    """A history in which these were measured and those have failed."""
    return History(tuple(evaluated), frozenset({e.key for e in evaluated} | set(failed)))


@dataclass
class TableInstrument:
    """An instrument for accuracy over the table.

    Fails on ``failing`` of the networks; ``backwards`` finishes a batch in reverse, as
    workers may; ``interrupt_at`` raises KeyboardInterrupt before that measurement.
    """

    failing: float = 0.0
    backwards: bool = False
    interrupt_at: int | None = None
    accuracy: Callable[[Point], float] = table_accuracy
    measured: list[str] = field(default_factory=list)
    name: str = "table"
    version: str = "1"
    fidelity: Fidelity = Fidelity.SUPERNET
    context: str = "table"

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        outcomes = dict(self.measure_each(designs))
        return [outcomes[k] for k in range(len(designs))]

    def measure_each(self, designs: Sequence[Design]) -> Iterator[tuple[int, Outcome]]:
        places = range(len(designs))
        for k in reversed(places) if self.backwards else places:
            if len(self.measured) == self.interrupt_at:
                raise KeyboardInterrupt
            self.measured.append(designs[k].network_key)
            yield k, self.outcome(designs[k])

    def outcome(self, design: Design) -> Outcome:
        key = design.network_key
        if int(key, 16) % 1000 < 1000 * self.failing:
            return Outcome(failure=Failure(key, self.name, "the table has a hole"))
        value = self.accuracy(design.network)
        measurement = Measurement(
            key, "accuracy", value, "1", self.name, self.version, self.fidelity, self.context,
            low=value, high=value, seconds=0.01,
        )  # fmt: skip
        return Outcome((measurement,))


def designs_of(
    problem: Problem, rows: Sequence[Any], hardware: Point | None = None
) -> list[Design]:
    """Networks, given as rows of indices, as designs on one hardware (default: the first)."""
    device = hardware or problem.hardware_space.decode(problem.hardware_space.enumerate()[:1])[0]
    networks = problem.network_space.decode(np.stack(rows)) if len(rows) else []
    return [Design(network, device, Origin("test", "a test")) for network in networks]


class Search:
    """One search in a folder: everything is built anew from what is on disk."""

    def __init__(self, folder: Path, instrument: TableInstrument, **brief: Any) -> None:
        self.folder, self.instrument = folder, instrument
        table: dict[str, Any] = {
            "name": "small",
            "seed": 3,
            "task": {"data": "digits"},
            "objectives": {
                m: "maximise" if m == "accuracy" else "minimise"
                for m in brief.pop("objectives", OBJECTIVES)
            },
            "budget": {"evaluations": 24},
        }
        self.spaces = {k: brief.pop(k) for k in ("networks", "hardware") if k in brief}
        self.minds = brief.pop("minds", {})
        self.recollection = brief.pop("recollection", Recollection())
        self.clock = brief.pop("clock", None)
        self.stopping = brief.pop("stopping", lambda: False)
        self.brief = parse_brief({**table, **brief})

    def team(self, archive: Archive, folder: Path) -> Team:
        """A team of rule-based minds, or those of ``minds``."""
        bounds = {k: v.model_dump() for k, v in self.brief.constraints.items()}
        problem = make_problem(tuple(self.brief.objectives), constraints=bounds, **self.spaces)
        pairings = Pairings(problem)
        costs = AnalyticalEvaluator(WORKLOAD_OF, problem.hardware_space)
        self.notes: list[tuple[int, str, str, str, str]] = []

        def note(*words: Any) -> None:
            self.notes.append(words)

        rules: dict[str, Any] = {
            "planner": RuleBasedPlanner(),
            "proposer": RuleBasedProposer(problem, pairings, self.brief.seed),
            "critic": RuleBasedCritic(problem, pairings),
            "evaluator": RuleBasedEvaluator(problem),
        }
        for role, mind in self.minds.items():
            rules[role] = mind(rules[role], problem, note)
        return Team(
            run="run",
            brief=self.brief,
            problem=problem,
            pairings=pairings,
            archive=archive,
            laboratory=Laboratory("run", archive, self.instrument, costs),
            events=EventLog(folder / "events.jsonl", lambda event: None),
            clock=self.clock or Clock(),
            recollection=self.recollection,
            conditions={"network space": "mbconv", "data": "digits"},
            note=note,
            model_spent=Spent,
            stopping=self.stopping,
            **rules,
        )

    def go(self) -> SimpleNamespace:
        """Begin the search, or go on with it; what it came to.

        Where it waits for the user's word, the state's ``stop`` is empty.
        """
        from langgraph.checkpoint.sqlite import SqliteSaver

        config: Any = {"configurable": {"thread_id": "run"}, "recursion_limit": 10_000}
        with ExitStack() as held:
            archive = held.enter_context(Archive(self.folder / "archive.db"))
            path = str(self.folder / "checkpoint.db")
            saver = held.enter_context(SqliteSaver.from_conn_string(path))
            team = self.team(archive, self.folder)
            app = build_graph(team).compile(checkpointer=saver)
            before = app.get_state(config).values
            if before.get("stop") == STOPPED_BY_USER:  # as archwright/run.py goes on
                node = "approval" if before["unfinished"] else "lessons"
                app.update_state(config, {"stop": "", "unfinished": False}, as_node=node)
            start = None if before else first_state()
            for _ in app.stream(start, config, durability="sync"):
                pass
            state = app.get_state(config).values
            history = team.history(state["step"] + state["unfinished"])
            front = team.frontier(history)
            points = [(p.evaluated.key, tuple(p.hardware.tolist())) for p in front.points()]
            table = archive.designs("run", ("accuracy", "latency_ms", "energy_uj"))
            return SimpleNamespace(
                state=state,
                front=points,
                hypervolume=front.hypervolume,
                history=history,
                proposals=archive.proposals("run"),
                designs=[(d.key, d.origin) for d in table.designs],
                steps=table.steps.tolist(),
                values={
                    m: [None if np.isnan(x) else x for x in v.tolist()]
                    for m, v in table.values.items()
                },
                failures=[(f.step, f.subject, f.reason) for f in archive.failures("run")],
                spent=team.spent(),
                lessons=team.lessons(state["step"] + 1),
                workload=archive.workload,
            )

    def waiting(self) -> Any:
        """The step, the attempt and the designs that wait for the user's word."""
        with Archive(self.folder / "archive.db") as archive:
            return waiting_batch(archive, "run")

    def say(self, rejected: Any = (), edited: Any = (), note: str = "") -> None:
        """Give the user's word on what waits, and no more: nothing goes on by it."""
        step, attempt, _ = self.waiting()
        word = make_word(dict(rejected), dict(edited), note)
        with Archive(self.folder / "archive.db") as archive:
            give_word(archive, "run", step, attempt, word)


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    """The helpers above: tests are not a package and cannot import them."""
    return SimpleNamespace(
        make_problem=make_problem,
        make_black_box=make_black_box,
        smallest=smallest,
        evaluate=evaluate,
        history_of=history_of,
        designs_of=designs_of,
        accuracy=table_accuracy,
        Instrument=TableInstrument,
        Search=Search,
        workload_of=WORKLOAD_OF,
        hardware=SMALL_HARDWARE,
    )


@pytest.fixture
def little_evolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that ask the surrogate strategy often and not how good its answers are."""
    monkeypatch.setattr("archwright.agents.strategies.surrogate.CANDIDATES", 48)


@pytest.fixture(scope="session")
def problem() -> Problem:
    """The whole mbconv space on 64 hardware points; accuracy, latency and energy."""
    return make_problem()


@pytest.fixture(scope="session")
def pairings(problem: Problem) -> Pairings:
    """The problem's pairings: a cache of a pure function, so one for all tests."""
    return Pairings(problem)
