"""The planner: turns the budget into phases, and after each round goes on, changes or stops.

A model may choose the phase and the size of a round. It may not stop the run, and the
budget is checked by rule before it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, Field

from archwright.agents.minds import Minded, Sentence
from archwright.brief import Brief


@dataclass(frozen=True)
class Phase:
    """What the proposer is to do: which strategy, and how far to trust uncertainty."""

    name: str
    strategy: str
    exploration: float
    meaning: str


OPENING = Phase("opening", "spread", 1.0, "cover every order of magnitude of complexity")
EXPLORE = Phase("explore", "surrogate", 1.0, "credit uncertain networks with what they may be")
REFINE = Phase("refine", "surrogate", 0.3, "improve what is known to be good")
PHASES = {phase.name: phase for phase in (OPENING, EXPLORE, REFINE)}

LARGEST_ROUND = 16
STALL_ROUNDS = 3
STALL_GAIN = 0.002
"""A search stalls when three rounds together raise the hypervolume by less than this share."""


@dataclass(frozen=True)
class Progress:
    """What the planner may know of a run. ``hypervolumes`` holds one value a round."""

    step: int
    phase: str
    rounds_in_phase: int
    evaluations: int
    seconds: float
    empty_rounds: int
    hypervolumes: tuple[float, ...]


@dataclass(frozen=True)
class Continue:
    """Another round of the same phase, of ``designs`` designs. ``mind`` says whose word it is."""

    designs: int
    reason: str
    mind: str = "rules"


@dataclass(frozen=True)
class ChangePhase:
    """A round of another phase. ``mind`` says whose word it is."""

    phase: Phase
    designs: int
    reason: str
    mind: str = "rules"


@dataclass(frozen=True)
class Stop:
    """The search is over."""

    reason: str


Plan = Continue | ChangePhase | Stop


class Planner(Protocol):
    """Decides before each round."""

    def next(self, brief: Brief, progress: Progress) -> Plan:
        """Go on, change the phase, or stop; with the reason."""
        ...


class RuleBasedPlanner:
    """Opening, then exploration; refinement and exploration in turn where they stall."""

    def next(self, brief: Brief, progress: Progress) -> Plan:
        """The rule's plan. Stops on a spent budget or when nothing new can be proposed."""
        stop = self.must_stop(brief, progress)
        if stop is not None:
            return stop
        left = brief.budget.evaluations - progress.evaluations
        opening = opening_size(brief.budget.evaluations)
        if not progress.phase:
            return ChangePhase(OPENING, min(opening, left), OPENING.meaning)
        size = min(round_size(brief.budget.evaluations), left)
        if progress.phase == OPENING.name:
            if progress.evaluations < opening and progress.empty_rounds == 0:
                return Continue(min(opening - progress.evaluations, left), OPENING.meaning)
            return ChangePhase(EXPLORE, size, "the opening is evaluated")
        if progress.rounds_in_phase >= STALL_ROUNDS and _stalls(progress.hypervolumes):
            other = REFINE if progress.phase == EXPLORE.name else EXPLORE
            reason = f"hypervolume gained less than {STALL_GAIN:.1%} in {STALL_ROUNDS} rounds"
            return ChangePhase(other, size, f"{reason}: {other.meaning}")
        return Continue(size, PHASES[progress.phase].meaning)

    def must_stop(self, brief: Brief, progress: Progress) -> Stop | None:
        """Whether a budget is spent or the space exhausted, and which."""
        if progress.evaluations >= brief.budget.evaluations:
            return Stop(f"the budget of {brief.budget.evaluations} evaluations is spent")
        if progress.seconds >= brief.search_seconds:
            return Stop(f"the budget of {brief.budget.hours:g} hours is spent")
        if progress.empty_rounds >= 2:
            return Stop("no untried network that the brief allows is left")
        return None


def opening_size(evaluations: int) -> int:
    """How many evaluations the opening gets: a fifth, at least 4 and at most a round."""
    return min(evaluations, max(4, min(evaluations // 5, LARGEST_ROUND)))


def round_size(evaluations: int) -> int:
    """How many designs a round evaluates: small enough to learn a dozen times in a run."""
    return max(2, min(8, evaluations // 12))


def _stalls(hypervolumes: tuple[float, ...]) -> bool:
    if len(hypervolumes) <= STALL_ROUNDS:
        return False
    before, now = hypervolumes[-1 - STALL_ROUNDS], hypervolumes[-1]
    return now - before < STALL_GAIN * max(before, 1e-9)


class PlannerAnswer(BaseModel):
    """The phase and the size of the next round, with the reason in one sentence."""

    phase: Literal["explore", "refine"]
    designs: int = Field(ge=1, le=LARGEST_ROUND)
    reason: Sentence


class ModelPlanner(Minded):
    """A model chooses phase and size of a round; rules open the run and end it."""

    role = "planner"
    instructions = (
        "You plan the next round of a search for neural networks and accelerators. "
        "Choose its phase: 'explore' credits uncertain networks with what they may reach, "
        "'refine' improves what is known to be good. Choose how many designs the round "
        "evaluates: small rounds learn more often, large rounds run faster. Say why in one "
        "sentence."
    )

    def next(self, brief: Brief, progress: Progress) -> Plan:
        """The model's plan where the rules leave a choice, else the rules'."""
        plan = RuleBasedPlanner().next(brief, progress)
        if isinstance(plan, Stop) or not _free_to_choose(plan, progress):
            return plan
        context = (
            f"round {progress.step}, phase {progress.phase} for {progress.rounds_in_phase} rounds\n"
            f"evaluations {progress.evaluations} of {brief.budget.evaluations}\n"
            f"hypervolume by round: {[round(h, 4) for h in progress.hypervolumes[-8:]]}\n"
            f"the rule-based planner would: {plan}"
        )
        answer = self.ask(progress.step, context, PlannerAnswer)
        if answer is None:
            return plan
        designs = min(answer.designs, brief.budget.evaluations - progress.evaluations)
        if answer.phase == progress.phase:
            return Continue(designs, answer.reason, self.mind)
        return ChangePhase(PHASES[answer.phase], designs, answer.reason, self.mind)


def _free_to_choose(plan: Plan, progress: Progress) -> bool:
    """Whether the opening is over, or ends with this plan."""
    return progress.phase not in ("", OPENING.name) or (
        progress.phase == OPENING.name and isinstance(plan, ChangePhase)
    )
