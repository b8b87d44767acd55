"""The critic: rejects or repairs designs before anything is paid for, and writes lessons.

Hard rejection is rule-based. A model's critic may put designs back to a later round
(defer) or change their order, never more than half of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from pydantic import BaseModel, Field

from archwright.agents.frontier import Frontier, Pairing, Pairings
from archwright.agents.lessons import Finding, findings
from archwright.agents.minds import Figures, Minded, Note, Position, Sentence, in_words
from archwright.agents.model.port import ModelPort
from archwright.agents.problem import History, Problem, fits
from archwright.agents.strategies.common import balanced_hardware
from archwright.design import Design
from archwright.front import non_dominated
from archwright.memory.records import Review, Verdict
from archwright.space import Indices

ALREADY_TRIED = "network already tried"
TWICE = "network twice in one batch"


@dataclass(frozen=True)
class Situation:
    """What the critic may know: earlier steps, the front so far, and this step's own batch."""

    step: int
    history: History
    frontier: Frontier


class Critic(Protocol):
    """Judges a batch before it is evaluated."""

    def review(self, designs: Sequence[Design], situation: Situation) -> list[Review]:
        """One review per design, in order."""
        ...

    def lessons(self, history: History) -> list[Finding]:
        """What the measurements so far teach, strongest first."""
        ...


class RuleBasedCritic:
    """Checks space, duplicates, bits and bounds on costs, and what is dominated in any case."""

    def __init__(self, problem: Problem, pairings: Pairings) -> None:
        self._problem, self._pairings = problem, pairings

    def review(self, designs: Sequence[Design], situation: Situation) -> list[Review]:
        """Verdicts by rule; of two designs with one network the first counts."""
        seen: set[str] = set()
        reviews = []
        for index, design in enumerate(designs):
            review = self._judge(index, design, situation, seen)
            if review.verdict is not Verdict.REJECT:
                seen.add(design.network_key)
            reviews.append(review)
        return reviews

    def lessons(self, history: History) -> list[Finding]:
        """Significant effects of single choices on accuracy at equal size."""
        return findings(self._problem, history)

    def _judge(self, index: int, design: Design, situation: Situation, seen: set[str]) -> Review:
        problem = self._problem
        if not fits(problem.network_space, design.network):
            return Review(index, Verdict.REJECT, "network outside the space")
        if design.network_key in situation.history.tried:
            return Review(index, Verdict.REJECT, ALREADY_TRIED)
        if design.network_key in seen:
            return Review(index, Verdict.REJECT, TWICE)
        row = problem.network_space.encode([design.network])[0]
        pairing = self._pairings.of(row)
        if len(pairing) == 0:
            return Review(index, Verdict.REJECT, self._why_nothing_suits(row))
        if not self._could_join(pairing, situation.frontier):
            return Review(
                index, Verdict.REJECT, "dominated on every hardware even at an accuracy of 1"
            )
        complaint = self._complaint(row, design)
        if complaint is None:
            return Review(index, Verdict.ACCEPT, "within the space and every bound")
        return Review(index, Verdict.REPAIR, complaint, self._repair(design, pairing, complaint))

    def _complaint(self, row: Indices, design: Design) -> str | None:
        """Why the proposed hardware cannot stay; None when it can."""
        problem = self._problem
        if not fits(problem.hardware_space, design.hardware):
            return "hardware outside the space"
        cannot_run = problem.costing.why_not(row, design.hardware)
        if cannot_run is not None:
            return cannot_run
        hardware = problem.hardware_space.encode([design.hardware])
        costs = problem.costing.zip(row[None], hardware)
        return problem.why_not({metric: float(values[0]) for metric, values in costs.items()})

    def _repair(self, design: Design, pairing: Pairing, complaint: str) -> Design:
        best = balanced_hardware(self._problem, pairing)
        hardware = self._problem.hardware_space.decode(best[None])[0]
        origin = replace(design.origin, reason=f"{design.origin.reason}; repaired: {complaint}")
        return Design(design.network, hardware, origin)

    def _why_nothing_suits(self, row: Indices) -> str:
        """The bound that no hardware of the space meets for this network, or their mixture."""
        _, costs = self._problem.costing.everywhere(row)
        runs = np.isfinite(costs["latency_ms"])
        if not runs.any():
            return "no hardware of the space can run it: too few bits or too small buffers"
        for metric, constraint in self._problem.constraints.items():
            if metric != "accuracy" and not any(constraint.holds(v) for v in costs[metric][runs]):
                return f"no hardware brings {metric} within the brief's bound"
        return "no hardware meets all bounds of the brief at once"

    def _could_join(self, pairing: Pairing, frontier: Frontier) -> bool:
        """Whether, were its accuracy 1, some pair would be on the front."""
        bound = self._problem.losses({"accuracy": 1.0}, pairing.costs)
        together = np.concatenate([frontier.losses, bound])
        return bool(non_dominated(together)[len(frontier.losses) :].any())


class Postponement(BaseModel):
    """One design to put back, by its position in the batch, and why."""

    position: Position
    reason: Sentence


class CriticAnswer(BaseModel):
    """Designs to defer to a later round; an empty list keeps them all."""

    defer: list[Postponement] = Field(max_length=32)


class ModelCritic(Minded):
    """Rules first; then a model may defer up to half of what they accepted."""

    role = "critic"
    instructions = (
        "You review a batch of neural network and accelerator designs before their accuracy "
        "is measured, which costs a budget. Defer a design only where another of the batch or "
        "of the front will teach the same thing, at most half of the batch. You cannot reject."
    )

    def __init__(
        self, rules: RuleBasedCritic, port: ModelPort, note: Note, figures: Figures | None = None
    ) -> None:
        super().__init__(port, note, figures)
        self._rules = rules

    def review(self, designs: Sequence[Design], situation: Situation) -> list[Review]:
        """The rules' verdicts, with deferrals by the model among the accepted."""
        reviews = self._rules.review(designs, situation)
        standing = [r.index for r in reviews if r.verdict is not Verdict.REJECT]
        if len(standing) < 2:
            return reviews
        lines = [f"{p}: {in_words(designs[i])}" for p, i in enumerate(standing)]
        front = [_front_in_words(situation)]
        answer = self.ask(situation.step, "\n".join([*front, "the batch:", *lines]), CriticAnswer)
        wanted = {p.position: p.reason for p in (answer.defer if answer else [])}
        known = [position for position in wanted if position < len(standing)]
        for position in known[: len(standing) // 2]:
            index = standing[position]
            reason = f"deferred by {self.mind}: {wanted[position]}"
            reviews[index] = Review(index, Verdict.DEFER, reason)
        return reviews

    def lessons(self, history: History) -> list[Finding]:
        """The rules' lessons: they rest on measurements, not on words."""
        return self._rules.lessons(history)


def _front_in_words(situation: Situation) -> str:
    accuracies = sorted({point.evaluated.accuracy for point in situation.frontier.points()})
    return f"accuracies on the front so far: {[round(a, 3) for a in accuracies]}"
