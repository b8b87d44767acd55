"""The critic: rejects or repairs designs before anything is paid for, and writes lessons.

Hard rejection is rule-based. A model's critic holds the arguments for designs against what
was measured; it may put designs back to a later round (defer) or, once a step, send them
back for better ones, never more than half of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from pydantic import BaseModel, Field

from archwright.agents.frontier import DOMINATED, Frontier, Pairing, Pairings
from archwright.agents.hybrid.words import columns_in_words, designs_in_words, front_in_words
from archwright.agents.lessons import Finding, findings
from archwright.agents.minds import Figures, Minded, Note, Offer, Position, Sentence
from archwright.agents.model.port import ModelPort
from archwright.agents.problem import History, Problem, fits
from archwright.agents.strategies.common import balanced_hardware
from archwright.agents.trust import PlainTrust, Trust
from archwright.design import Design
from archwright.memory.records import Review, Verdict
from archwright.space import Indices

FRONT_ROWS = 4
"""Of the front that a model is told: beside it stands the nearest network of each design."""
ALREADY_TRIED = "network already tried"
TWICE = "network twice in one batch"
DOUBTS = {"defer": (Verdict.DEFER, "deferred"), "send_back": (Verdict.REVISE, "sent back")}
"""What a model's doubt becomes, and how the review says so."""


@dataclass(frozen=True)
class Situation:
    """What the critic may know: earlier steps, the front so far, and this step's own batch.

    ``attempt`` counts the step's batches, from 0.
    """

    step: int
    history: History
    frontier: Frontier
    attempt: int = 0


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
        if not situation.frontier.could_join(pairing):
            return Review(index, Verdict.REJECT, DOMINATED)
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


class Doubt(BaseModel):
    """A design of the batch that should not be measured now, and why."""

    position: Position
    action: Literal["defer", "send_back"]
    reason: Sentence


class CriticAnswer(BaseModel):
    """The designs to defer or to send back; an empty list keeps the batch."""

    doubts: list[Doubt] = Field(max_length=32)


class ModelCritic(Minded):
    """Rules first; then a model may doubt up to half of what they accepted."""

    role = "critic"
    instructions = (
        "You review a batch of neural network and accelerator designs before their accuracy "
        "is measured, which costs a budget. Hold each design's reason against what was measured "
        "of networks like it. Defer a design where another of the batch or a measured one will "
        "teach the same. Send it back where the measurements speak against its reason: the "
        "proposer then looks for a better one. Doubt half of the batch at most; you cannot "
        "reject. State no metric that is not in the data."
    )

    def __init__(
        self,
        rules: RuleBasedCritic,
        problem: Problem,
        port: ModelPort,
        note: Note,
        trust: Trust | None = None,
        figures: Figures | None = None,
        tools: Offer | None = None,
    ) -> None:
        super().__init__(port, note, figures, tools)
        self._rules, self._problem, self._trust = rules, problem, trust or PlainTrust()

    def review(self, designs: Sequence[Design], situation: Situation) -> list[Review]:
        """The rules' verdicts, with the model's doubts among the accepted.

        It is not asked about a step's later batches: what was sent back comes back once, and
        what the user edited stands.
        """
        reviews = self._rules.review(designs, situation)
        standing = [r.index for r in reviews if r.verdict is not Verdict.REJECT]
        step = situation.step
        if len(standing) < 2 or situation.attempt > 0 or self._trust.rests(self.role, step):
            return reviews
        batch = [designs[i] for i in standing]
        answer = self.ask(step, self._context(batch, situation), CriticAnswer)
        if answer is None:
            return reviews
        doubts = {doubt.position: doubt for doubt in answer.doubts}
        known = [position for position in doubts if position < len(standing)]
        most = len(standing) // 2
        # Who doubts everything tells nothing apart.
        self._trust.heard(self.role, step, overruled=len(known) > most)
        for position in known[:most]:
            index, doubt = standing[position], doubts[position]
            verdict, done = DOUBTS[doubt.action]
            reviews[index] = Review(index, verdict, f"{done} by {self.mind}: {doubt.reason}")
        return reviews

    def lessons(self, history: History) -> list[Finding]:
        """The rules' lessons: they rest on measurements, not on words."""
        return self._rules.lessons(history)

    def _context(self, batch: Sequence[Design], situation: Situation) -> str:
        problem, evaluated = self._problem, situation.history.evaluated
        lines = [
            columns_in_words(problem),
            "Measured designs on the front:",
            *front_in_words(problem, situation.frontier, FRONT_ROWS),
            "The batch:",
            *designs_in_words(problem, batch),
        ]
        if evaluated:
            rows = np.stack([e.row for e in evaluated])
            lines.append("Of each, the measured network that is most like it:")
            for position, row in enumerate(
                problem.network_space.encode([design.network for design in batch])
            ):
                differences = (rows != row).sum(axis=1)
                nearest = int(np.argmin(differences))
                known = ", ".join(f"{m} {v:.3f}" for m, v in evaluated[nearest].measured.items())
                lines.append(f"{position}: {known}, {differences[nearest]} choices differ")
        return "\n".join(lines)
