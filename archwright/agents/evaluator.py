"""The evaluator: decides what to measure in which order, runs the instruments, keeps every result.

Costs first (free), then accuracy in the order of the plan. Each measurement is written
to the archive the moment it exists; what the archive holds is not measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, Field

from archwright.agents.minds import Figures, Minded, Note, Position, in_words
from archwright.agents.model.port import ModelPort
from archwright.agents.problem import Problem
from archwright.design import Design
from archwright.errors import MeasurementFailed
from archwright.evaluators import Evaluator
from archwright.measurement import Failure, Measurement, Outcome
from archwright.memory.archive import Archive
from archwright.memory.records import Role


class AccuracyInstrument(Evaluator, Protocol):
    """An instrument for accuracy that gives each outcome as soon as it exists."""

    def measure_each(self, designs: Sequence[Design]) -> Iterator[tuple[int, Outcome]]:
        """Pairs of position and outcome, in the order in which they finish."""
        ...


class EvaluatorMind(Protocol):
    """Orders the measurements of a round."""

    def plan(self, step: int, designs: Sequence[Design]) -> list[int]:
        """Positions of ``designs``, each once, in the order in which to measure them."""
        ...


class RuleBasedEvaluator:
    """Small networks first: under a budget of time they buy the most measurements."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def plan(self, step: int, designs: Sequence[Design]) -> list[int]:
        """By multiply-accumulates, smallest first."""
        if not designs:
            return []
        rows = self._problem.network_space.encode([design.network for design in designs])
        macs = [workload.macs for workload in self._problem.costing.workloads(rows)]
        return sorted(range(len(designs)), key=lambda k: macs[k])


class EvaluatorAnswer(BaseModel):
    """Positions of the designs in the order in which to measure them."""

    order: list[Position] = Field(max_length=64)


class ModelEvaluator(Minded):
    """A model may order the measurements; it never gives a value."""

    role = "evaluator"
    instructions = (
        "You order the accuracy measurements of a round: first the designs whose results will "
        "teach most, in case the time runs out. Answer with the positions of the designs."
    )

    def __init__(
        self, rules: RuleBasedEvaluator, port: ModelPort, note: Note, figures: Figures | None = None
    ) -> None:
        super().__init__(port, note, figures)
        self._rules = rules

    def plan(self, step: int, designs: Sequence[Design]) -> list[int]:
        """The model's order, completed by the rules' where it is not a whole one."""
        order = self._rules.plan(step, designs)
        if len(designs) < 2:
            return order
        answer = self.ask(step, "\n".join(in_words(designs)), EvaluatorAnswer)
        wanted = [k for k in dict.fromkeys(answer.order if answer else []) if k in set(order)]
        return wanted + [k for k in order if k not in wanted]


@dataclass(frozen=True)
class Round:
    """What a round came to: measured and failed networks, and whether time cut it short."""

    measured: int
    failed: int
    cut_short: bool


class Laboratory:
    """Runs the instruments for one run and keeps what they give."""

    def __init__(
        self, run: str, archive: Archive, accuracy: AccuracyInstrument, costs: Evaluator
    ) -> None:
        self._run, self._archive = run, archive
        self.accuracy, self.costs = accuracy, costs

    def cost(self, step: int, designs: Sequence[Design], position: int = 0) -> None:
        """Keep the exact costs of designs, from ``position`` on within the step."""
        if designs:
            outcomes = self.costs.measure(designs)
            self._archive.record(self._run, step, designs, outcomes, position=position)

    def measure(
        self,
        step: int,
        designs: Sequence[Design],
        order: Sequence[int],
        measured: Callable[[Design, Outcome], None],
        out_of_time: Callable[[], bool],
        role: Role = Role.SEARCH,
    ) -> Round:
        """Measure the accuracy of ``designs`` in the given order; tell ``measured`` of each.

        Told in that order, too, whichever worker is quicker; kept at once. What the archive
        holds already counts as measured and costs nothing. Ends early when ``out_of_time``
        says so.
        """
        known, failed = self.known(designs), self._failed(step, designs)
        todo = [k for k in order if designs[k].network_key not in known.keys() | failed.keys()]
        for k in order:
            key = designs[k].network_key
            if key in known:
                outcome = self._keep(step, designs[k], Outcome((known[key],)), k, role)
                measured(designs[k], outcome)
            elif key in failed:
                measured(designs[k], Outcome(failure=failed[key]))
        good, bad, left = len(known), len(failed), len(todo)
        waiting: dict[int, Outcome] = {}  # for a slower one before them
        untold = list(todo)
        for position, given in self.accuracy.measure_each([designs[k] for k in todo]):
            k = todo[position]
            outcome = waiting[k] = self._keep(step, designs[k], given, k, role)
            while untold and untold[0] in waiting:
                measured(designs[untold[0]], waiting.pop(untold.pop(0)))
            good, bad = good + (outcome.failure is None), bad + (outcome.failure is not None)
            left -= 1
            if left and out_of_time():
                break
        for k in [k for k in untold if k in waiting]:
            measured(designs[k], waiting[k])
        return Round(good, bad, cut_short=left > 0)

    def known(self, designs: Sequence[Design]) -> dict[str, Measurement]:
        """Accuracies that the archive holds already, by network key."""
        instrument = self.accuracy
        return self._archive.measurements(
            {design.network_key: None for design in designs},
            "accuracy",
            evaluator=instrument.name,
            version=instrument.version,
            fidelity=instrument.fidelity,
            context=instrument.context,
        )

    def _failed(self, step: int, designs: Sequence[Design]) -> dict[str, Failure]:
        """Which of the networks have failed in this step already: it was cut off before."""
        networks = {design.network_key for design in designs}
        return {
            failure.subject: Failure(failure.subject, failure.evaluator, failure.reason)
            for failure in self._archive.failures(self._run)
            if failure.step == step and failure.subject in networks
        }

    def _keep(self, step: int, design: Design, outcome: Outcome, k: int, role: Role) -> Outcome:
        """Write one outcome down, and return it; a value that cannot be is a failure."""
        try:
            self._archive.record(self._run, step, [design], [outcome], position=k, role=role)
        except MeasurementFailed as error:
            failure = Failure(design.network_key, self.accuracy.name, str(error))
            outcome = Outcome(failure=failure)
            self._archive.record(self._run, step, [design], [outcome], position=k, role=role)
        return outcome
