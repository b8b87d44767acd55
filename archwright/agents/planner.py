"""The planner: turns the budget into phases, and after each round goes on, changes or stops.

By rule: an opening, then exploration of the whole space; where that stalls, refinement
near the front; where that stalls too, a few rounds of another strategy over the whole
space, and exploration again. Each decision says why, in the figures it was taken on.

A model may choose the phase and the size of a round. It may not stop the run or narrow
the space, and the budget is checked by rule before it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, Field

from archwright.agents.minds import Figures, Minded, Note, Offer, Sentence
from archwright.agents.model.port import ModelPort
from archwright.agents.phases import (
    EXPLORE,
    OPENING,
    REFINE,
    WHOLE_SPACE,
    WIDEN,
    Phase,
    narrow_focus,
    phases_of,
)
from archwright.agents.trust import PlainTrust, Trust
from archwright.brief import Brief

LARGEST_ROUND = 16
STALL_ROUNDS = 3
STALL_GAIN = 0.002
"""A search stalls when three rounds together raise the hypervolume by less than this share."""
LAST_ROUNDS = 8
"""As many a model is told of."""
STRAYS = 1
"""After so many rounds in another phase than the rules', a model's round keeps to theirs."""
WIDEN_ROUNDS = 2
"""Rounds of another strategy: enough to find a new corner, at most a sixth of a run."""
WORTH_A_ROUND = STALL_GAIN / STALL_ROUNDS
"""A round pays when it adds, or was expected to add, this share of the hypervolume so far:
what a search that barely stalls adds in one."""


@dataclass(frozen=True)
class Progress:
    """What the planner may know of a run.

    ``hypervolumes`` and ``expected_gains`` hold one value a round: the score after it, and
    what the batch's strategy expected it to add (None where it does not know). ``choices``
    is how many a network has.
    """

    step: int
    phase: str
    rounds_in_phase: int
    evaluations: int
    seconds: float
    empty_rounds: int
    hypervolumes: tuple[float, ...]
    expected_gains: tuple[float | None, ...] = ()
    choices: int = 0


@dataclass(frozen=True)
class Continue:
    """Another round of the same phase, of ``designs`` designs. ``mind`` says whose word it is."""

    designs: int
    reason: str
    mind: str = "rules"


@dataclass(frozen=True)
class ChangePhase:
    """A round of another phase. ``mind`` says whose word it is.

    ``focus`` holds until the next change: in how many choices a network may differ from the
    front's, 0 for the whole space.
    """

    phase: Phase
    designs: int
    reason: str
    mind: str = "rules"
    focus: int = WHOLE_SPACE


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
    """Opening, then exploration, refinement and widening in turn, each where the last stalls."""

    def next(self, brief: Brief, progress: Progress) -> Plan:
        """The rule's plan. Stops on a spent budget or when nothing worthwhile is left."""
        stop = self.must_stop(brief, progress)
        if stop is not None:
            return stop
        phases = phases_of(brief)
        left = _left(brief, progress)
        opening = opening_size(brief.budget.evaluations)
        if not progress.phase:
            return ChangePhase(phases_of(brief)[OPENING.name], min(opening, left), OPENING.meaning)
        size = min(round_size(brief.budget.evaluations), left)
        explore, refine, widen = (phases[p.name] for p in (EXPLORE, REFINE, WIDEN))
        if progress.phase == OPENING.name:
            if progress.evaluations < opening and progress.empty_rounds == 0:
                return Continue(min(opening - progress.evaluations, left), OPENING.meaning)
            why = f"the opening is evaluated, {_last_round(progress)}"
            return ChangePhase(explore, size, f"{why}: {explore.meaning}")
        if progress.phase == WIDEN.name and progress.rounds_in_phase >= WIDEN_ROUNDS:
            gained = _gained(progress.hypervolumes, WIDEN_ROUNDS)
            return ChangePhase(explore, size, f"{gained}: back to {explore.strategy}")
        if progress.phase != WIDEN.name and _stalls(progress):
            why = f"{_gained(progress.hypervolumes, STALL_ROUNDS)}, under {STALL_GAIN:.1%} of it"
            if progress.phase == REFINE.name:
                what = f"{widen.meaning}, {widen.strategy}"
                return ChangePhase(widen, size, f"{why}: {what} for {WIDEN_ROUNDS} rounds")
            focus = narrow_focus(progress.choices) if progress.hypervolumes[-1] > 0 else WHOLE_SPACE
            within = f"only networks within {focus} of {progress.choices} choices of the front"
            where = within if focus else "in the whole space"
            return ChangePhase(refine, size, f"{why}: {refine.meaning}, {where}", focus=focus)
        return Continue(size, f"{phases[progress.phase].meaning}; {_last_round(progress)}")

    def must_stop(self, brief: Brief, progress: Progress) -> Stop | None:
        """Whether a budget is spent, the space exhausted or a round no longer pays."""
        if progress.evaluations >= brief.budget.evaluations:
            return Stop(f"the budget of {brief.budget.evaluations} evaluations is spent")
        if progress.seconds >= brief.search_seconds:
            return Stop(f"the budget of {brief.budget.hours:g} hours is spent")
        if progress.empty_rounds >= 2:
            return Stop("no untried network that the brief allows is left")
        patience = brief.search.patience
        if 0 < patience <= _rounds_that_did_not_pay(progress):
            which = f"{patience} rounds in a row" if patience > 1 else "the last round"
            return Stop(
                f"{which} neither gained nor expected {WORTH_A_ROUND:.2%} of the hypervolume, "
                f"search.patience = {patience}; {_last_round(progress)}"
            )
        return None


def opening_size(evaluations: int) -> int:
    """How many evaluations the opening gets: a fifth, at least 4 and at most a round."""
    return min(evaluations, max(4, min(evaluations // 5, LARGEST_ROUND)))


def round_size(evaluations: int) -> int:
    """How many designs a round evaluates: small enough to learn a dozen times in a run."""
    return max(2, min(8, evaluations // 12))


def _stalls(progress: Progress) -> bool:
    hypervolumes = progress.hypervolumes
    if progress.rounds_in_phase < STALL_ROUNDS or len(hypervolumes) <= STALL_ROUNDS:
        return False
    before, now = hypervolumes[-1 - STALL_ROUNDS], hypervolumes[-1]
    return now - before < STALL_GAIN * max(before, 1e-9)


def _rounds_that_did_not_pay(progress: Progress) -> int:
    """How many of the last rounds, in a row, neither gained nor expected what is worth one.

    Where the strategy does not know what to expect the gain alone counts, and nothing does
    before the first design is feasible: a search for one may gain nothing for long.
    """
    rounds, scores = 0, progress.hypervolumes
    stated = (*progress.expected_gains, *(None for _ in scores))
    known = list(zip((0.0, *scores), scores, stated, strict=False))
    for before, now, expected in reversed(known):
        least = WORTH_A_ROUND * max(before, 1e-9)
        if now - before >= least or (now == 0.0 if expected is None else expected >= least):
            break
        rounds += 1
    return rounds


def _gained(hypervolumes: Sequence[float], rounds: int) -> str:
    """What the last rounds added to the hypervolume, in figures."""
    before = hypervolumes[-1 - rounds] if len(hypervolumes) > rounds else 0.0
    now = hypervolumes[-1] if hypervolumes else 0.0
    return f"hypervolume went from {before:.4f} to {now:.4f} in {rounds} rounds"


def _last_round(progress: Progress) -> str:
    """What the last round added, and what was expected of it, in figures."""
    if not progress.hypervolumes:
        return "nothing is evaluated yet"
    before, now = (0.0, *progress.hypervolumes)[-2:]
    expected = progress.expected_gains[-1] if progress.expected_gains else None
    said = "" if expected is None else f", {expected:.4f} was expected"
    return f"hypervolume {now:.4f}, {now - before:.4f} more than a round ago{said}"


class PlannerAnswer(BaseModel):
    """The phase and the size of the next round, with the reason in one sentence."""

    phase: Literal["explore", "refine", "widen", "stop"]
    designs: int = Field(ge=1, le=LARGEST_ROUND)
    reason: Sentence


class ModelPlanner(Minded):
    """A model chooses phase and size of a round; rules open the run and end it."""

    role = "planner"
    instructions = (
        "You plan the next round of a search for neural networks and accelerators. "
        "Choose its phase: 'explore' credits uncertain networks with what they may reach, "
        "'refine' improves what is known to be good, 'widen' looks over the whole space with "
        "another strategy, 'stop' asks to end the search, which only happens where the rules "
        "agree. Choose how many designs the round evaluates: small rounds learn more often, "
        "large rounds run faster. Say why in one sentence."
    )

    def __init__(
        self,
        port: ModelPort,
        note: Note,
        trust: Trust | None = None,
        figures: Figures | None = None,
        tools: Offer | None = None,
    ) -> None:
        super().__init__(port, note, figures, tools)
        self._trust = trust or PlainTrust()

    def next(self, brief: Brief, progress: Progress) -> Plan:
        """The model's plan where the rules leave a choice, else the rules'."""
        plan = RuleBasedPlanner().next(brief, progress)
        step = progress.step
        if isinstance(plan, Stop) or not _free_to_choose(plan, progress):
            return plan
        if self._trust.rests(self.role, step):
            return plan
        answer = self.ask(step, _in_words(brief, progress, plan), PlannerAnswer)
        if answer is None:
            return plan
        same = answer.phase == _phase_of(plan, progress)
        strays = not same and any(self._trust.overruled(self.role, step, back=STRAYS))
        overruled = answer.phase == "stop" or strays
        self._trust.heard(self.role, step, overruled=not same)
        if overruled:
            decision = f"overruled: {answer.phase}"
            self._note(step, self.role, "rules", decision, f"the rules go on; {answer.reason}")
            return plan
        designs = min(answer.designs, 2 * plan.designs, _left(brief, progress))
        if answer.phase == progress.phase:
            return Continue(designs, answer.reason, self.mind)
        phase = phases_of(brief)[answer.phase]
        # Only the rules narrow the space: a model's own change keeps it whole.
        focus = WHOLE_SPACE
        if isinstance(plan, ChangePhase) and plan.phase == phase:
            focus = plan.focus
        return ChangePhase(phase, designs, answer.reason, self.mind, focus)


def _phase_of(plan: Continue | ChangePhase, progress: Progress) -> str:
    return plan.phase.name if isinstance(plan, ChangePhase) else progress.phase


def _left(brief: Brief, progress: Progress) -> int:
    return brief.budget.evaluations - progress.evaluations


def _in_words(brief: Brief, progress: Progress, plan: Continue | ChangePhase) -> str:
    """What a planner's model is told: the budget, the last rounds, and what the rules would do."""
    gains = progress.expected_gains[-LAST_ROUNDS:]
    rules = "go on with" if isinstance(plan, Continue) else "change to"
    return "\n".join(
        [
            f"Round {progress.step}, phase {progress.phase} for {progress.rounds_in_phase} rounds.",
            f"Evaluations: {progress.evaluations} of {brief.budget.evaluations}.",
            f"Hypervolume by round: {[round(h, 4) for h in progress.hypervolumes[-LAST_ROUNDS:]]}",
            f"Gain that was expected: {[None if g is None else round(g, 4) for g in gains]}",
            f"The rules would {rules} phase {_phase_of(plan, progress)} with {plan.designs} "
            f"designs: {plan.reason}.",
        ]
    )


def _free_to_choose(plan: Plan, progress: Progress) -> bool:
    """Whether the opening is over, or ends with this plan."""
    return progress.phase not in ("", OPENING.name) or (
        progress.phase == OPENING.name and isinstance(plan, ChangePhase)
    )
