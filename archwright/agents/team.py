"""The four minds of a run and what they work with: what every node of the graph may know."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from archwright.agents.analyst import Analyst
from archwright.agents.approval import (
    rejected_designs,
)
from archwright.agents.critic import Critic
from archwright.agents.evaluator import EvaluatorMind, Laboratory
from archwright.agents.frontier import Frontier, FrontPoint, Pairings
from archwright.agents.minds import Note
from archwright.agents.model.limits import Spent
from archwright.agents.planner import Planner
from archwright.agents.problem import Evaluated, History, Problem
from archwright.agents.proposer import Proposer
from archwright.agents.recollection import Recollection
from archwright.brief import Brief
from archwright.design import Design, Origin
from archwright.events import EventLog
from archwright.memory.archive import Archive
from archwright.memory.lessons import read_lessons
from archwright.memory.records import Verdict
from archwright.space import Value


@dataclass
class Clock:
    """Seconds that a run has worked, over all its processes."""

    before: float = 0.0
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + time.monotonic() - self.since


@dataclass(frozen=True)
class Team:
    """The four minds and what they work with."""

    run: str
    brief: Brief
    problem: Problem
    pairings: Pairings
    archive: Archive
    laboratory: Laboratory
    events: EventLog
    clock: Clock
    planner: Planner
    proposer: Proposer
    critic: Critic
    evaluator: EvaluatorMind
    recollection: Recollection
    conditions: Mapping[str, Value]
    note: Note
    model_spent: Callable[[], Spent]
    stopping: Callable[[], bool] = lambda: False
    analyst: Analyst | None = None

    def history(self, before_step: int) -> History:
        """What a step may know of measurements: those of the steps before it."""
        archived = self.archive.evaluated_networks(
            self.run, before_step=before_step, context=self.laboratory.accuracy.context
        )
        space = self.problem.network_space
        evaluated = tuple(
            Evaluated(
                e.network_key,
                e.design,
                space.encode([e.network])[0],
                {"accuracy": e.accuracy.value},
                e.step,
            )
            for e in archived
        )
        failed = {f.subject for f in self.archive.failures(self.run, before_step=before_step)}
        tried = {e.key for e in evaluated} | failed | self._rejected(before_step)
        if self.brief.approval:
            rejected = rejected_designs(self.archive, self.run, before_step)
            tried |= {design.network_key for design, _ in rejected}
        return History(evaluated, frozenset(tried))

    def _rejected(self, before_step: int) -> set[str]:
        """Networks that earlier steps turned away for good: no hardware can save them.

        One that was proposed twice and deferred the first time is not among them.
        """
        rejected, kept = set[str](), set[str]()
        for proposal in self.archive.proposals(self.run, before_step=before_step):
            if proposal.review is not None:
                for_good = proposal.review.verdict is Verdict.REJECT
                (rejected if for_good else kept).add(proposal.design.network_key)
        return rejected - kept

    def spent(self, before_step: int | None = None) -> int:
        """Evaluations that count against the budget: paid accuracy measurements and failures."""
        measured = self.archive.recorded_evaluations(self.run, before_step=before_step)
        failures = self.archive.failures(self.run, before_step=before_step)
        return measured + sum(f.evaluator == self.laboratory.accuracy.name for f in failures)

    def frontier(self, history: History) -> Frontier:
        """The front of what was evaluated."""
        frontier = Frontier(self.problem, self.pairings)
        frontier.add(history.evaluated)
        return frontier

    def lessons(self, before_step: int) -> tuple[str, ...]:
        """What earlier steps and other runs taught, this run's first."""
        own = read_lessons(self.archive, self.run, before_step=before_step)
        return (*(lesson.text for lesson in own), *self.recollection.lessons)

    def design_of(self, point: FrontPoint) -> Design:
        """A front's point as a design: an evaluated network on hardware that suits it."""
        network = self.problem.network_space.decode(point.evaluated.row[None])[0]
        hardware = self.problem.hardware_space.decode(point.hardware[None])[0]
        reason = "its network was evaluated; this hardware suits it (costs are free and exact)"
        return Design(network, hardware, Origin("pairing", reason, (point.evaluated.design,)))
