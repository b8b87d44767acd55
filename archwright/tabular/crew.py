"""A whole run's four agents on a table: the graph, the archive and the critic as in a run.

Only what measures is another: accuracy is looked up. So what a planner, a proposer or a
critic does to a search can be told in minutes, over many seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archwright.agents.critic import Critic, ModelCritic, RuleBasedCritic
from archwright.agents.evaluator import EvaluatorMind, Laboratory, RuleBasedEvaluator
from archwright.agents.frontier import Pairings, hypervolume_curve
from archwright.agents.graph import build_graph
from archwright.agents.hybrid.committee import Committee
from archwright.agents.hybrid.notebook import Advice, ArchiveNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.model.limits import Spent
from archwright.agents.model.port import ModelPort
from archwright.agents.planner import ModelPlanner, Planner, RuleBasedPlanner
from archwright.agents.problem import Problem
from archwright.agents.proposer import Proposer, RuleBasedProposer
from archwright.agents.recollection import Recollection
from archwright.agents.state import first_state
from archwright.agents.team import Clock, Team
from archwright.agents.trust import ArchiveTrust
from archwright.brief import Brief, parse_brief
from archwright.design import Design
from archwright.events import EventLog, read_events
from archwright.measurement import COSTS, METRICS, Failure, Fidelity, Measurement, Outcome
from archwright.memory.archive import ARCHIVE_FILE, Archive
from archwright.tabular.problem import TabularProblem

RUN = "table"
NOT_IN_THE_TABLE = "the table does not hold this network"


@dataclass(frozen=True)
class Crew:
    """Which role has which model; None: the rules. ``committee``: how often a proposer is asked."""

    planner: ModelPort | None = None
    proposer: ModelPort | None = None
    critic: ModelPort | None = None
    committee: int = 1


@dataclass(frozen=True)
class TeamSearch:
    """What a team came to: the hypervolume after each evaluation, its event log, and what came
    of each ask of its proposer's model.

    ``hypervolumes`` may be shorter than the budget where nothing was left to propose.
    """

    hypervolumes: tuple[float, ...]
    events: tuple[dict[str, Any], ...]
    advice: tuple[Advice, ...]


def search_with_team(
    tabular: TabularProblem, pairings: Pairings, crew: Crew, evaluations: int, seed: int
) -> TeamSearch:
    """One search of a table by a whole team, in a folder of its own that is removed."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory()))
        held.enter_context(threadpool_limits(1))
        archive = held.enter_context(Archive(folder / ARCHIVE_FILE))
        team = _team(tabular, pairings, crew, _brief(tabular, evaluations, seed), archive, folder)
        app = build_graph(team).compile()
        state = app.invoke(first_state(), {"recursion_limit": 100_000})
        history = team.history(state["step"])
        curve = hypervolume_curve(tabular.problem, pairings, history.evaluated)
        events, advice = read_events(folder / "events.jsonl"), ArchiveNotebook(archive, RUN)
        return TeamSearch(tuple(curve), tuple(events), advice.every(state["step"]))


def _brief(tabular: TabularProblem, evaluations: int, seed: int) -> Brief:
    bounds = tabular.problem.score.bounds
    return parse_brief(
        {
            "name": RUN,
            "seed": seed,
            "task": {"data": "digits"},  # never loaded: the table answers
            "objectives": {b.metric: "maximise" if b.rises else "minimise" for b in bounds},
            "budget": {"evaluations": evaluations},
        }
    )


def _team(
    tabular: TabularProblem,
    pairings: Pairings,
    crew: Crew,
    brief: Brief,
    archive: Archive,
    folder: Path,
) -> Team:
    problem = tabular.problem
    events = EventLog(folder / "events.jsonl", lambda event: None)
    note = events.note
    trust = ArchiveTrust(archive, RUN)
    rules = RuleBasedProposer(problem, pairings, brief.seed, note)
    planner: Planner = RuleBasedPlanner()
    if crew.planner is not None:
        planner = ModelPlanner(crew.planner, note, trust)
    proposer: Proposer = rules
    if crew.proposer is not None:
        notebook = ArchiveNotebook(archive, RUN)
        committee = Committee(crew.committee)
        proposer = ModelProposer(
            rules, problem, pairings, crew.proposer, note, notebook, committee=committee
        )
    critic: Critic = RuleBasedCritic(problem, pairings)
    if crew.critic is not None:
        judge = RuleBasedCritic(problem, pairings)
        critic = ModelCritic(judge, problem, crew.critic, note, trust)
    evaluator: EvaluatorMind = RuleBasedEvaluator(problem)
    return Team(
        run=RUN,
        brief=brief,
        problem=problem,
        pairings=pairings,
        archive=archive,
        laboratory=Laboratory(RUN, archive, TableAccuracy(tabular), ExactCosts(problem)),
        events=events,
        clock=Clock(),
        planner=planner,
        proposer=proposer,
        critic=critic,
        evaluator=evaluator,
        recollection=Recollection(),
        conditions={"network space": problem.network_space.name, "data": tabular.name},
        note=note,
        model_spent=Spent,
    )


class TableAccuracy:
    """An instrument for accuracy whose values are those of a table."""

    name = "table"
    version = "1"
    fidelity = Fidelity.TRAINED

    def __init__(self, tabular: TabularProblem) -> None:
        self._tabular = tabular

    @property
    def context(self) -> str:
        """Which table."""
        return self._tabular.name

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        """What the table says of each design's network."""
        return [outcome for _, outcome in self.measure_each(designs)]

    def measure_each(self, designs: Sequence[Design]) -> Iterator[tuple[int, Outcome]]:
        """Pairs of position and outcome, in order."""
        for position, design in enumerate(designs):
            key = design.network_key
            known = self._tabular.row_of.get(key)
            if known is None:
                yield position, Outcome(failure=Failure(key, self.name, NOT_IN_THE_TABLE))
            else:
                yield position, Outcome((_exact(key, "accuracy", known["accuracy"], self),))


class ExactCosts:
    """The problem's own costs as an instrument."""

    name = "analytical"
    version = "table"
    fidelity = Fidelity.ANALYTICAL
    context = "table"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        """Every cost of each design."""
        rows = self._problem.network_space.encode([design.network for design in designs])
        hardware = self._problem.hardware_space.encode([design.hardware for design in designs])
        costs = self._problem.costing.zip(rows, hardware)
        return [
            Outcome(tuple(_exact(d.key, metric, float(costs[metric][k]), self) for metric in COSTS))
            for k, d in enumerate(designs)
        ]


def _exact(
    subject: str, metric: str, value: float, instrument: TableAccuracy | ExactCosts
) -> Measurement:
    return Measurement(
        subject=subject,
        metric=metric,
        value=value,
        unit=METRICS[metric].unit,
        evaluator=instrument.name,
        version=instrument.version,
        fidelity=instrument.fidelity,
        context=instrument.context,
        low=value,
        high=value,
        seconds=0.0,
    )
