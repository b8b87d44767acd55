"""The proposer: a batch of designs from an optimiser and from memory.

What a model adds to it is in :mod:`archwright.agents.hybrid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from archwright.agents.focus import focused, narrowed
from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.minds import Note
from archwright.agents.objections import (
    Objection,
    PanelPairings,
    bounded,
    understand,
    variants,
)
from archwright.agents.phases import WHOLE_SPACE, Phase
from archwright.agents.problem import History, Problem
from archwright.agents.recollection import PastRun, RecalledDesign
from archwright.agents.starting_points import starting_points
from archwright.agents.strategies import make_strategy
from archwright.design import Design, Origin

FOCUS_SEED = 7
"""Keeps the draws near the front apart from the strategy's."""
RECALLED_SHARE = 1 / 3
"""The share of an opening that past designs may take: the rest stays a spread of its own."""


@dataclass(frozen=True)
class Request:
    """What a proposer is asked, and what it may know. ``proposed`` counts the run's proposals.

    ``focus`` is in how many choices a network may differ from the front's: 0, the whole space.
    ``sent_back`` are designs of this step that the critic wants better ones for, and why.
    """

    step: int
    attempt: int
    phase: Phase
    designs: int
    history: History
    frontier: Frontier
    focus: int = WHOLE_SPACE
    proposed: int = 0
    recalled: tuple[RecalledDesign, ...] = ()
    past: tuple[PastRun, ...] = ()
    lessons: tuple[str, ...] = ()
    objections: tuple[tuple[Design, str], ...] = ()
    notes: tuple[str, ...] = ()
    sent_back: tuple[tuple[Design, str], ...] = ()


class Proposer(Protocol):
    """Proposes a batch of designs."""

    def propose(self, request: Request) -> list[Design]:
        """Up to ``request.designs`` designs with their origins."""
        ...


class RuleBasedProposer:
    """The phase's strategy, after past designs that fit the brief have had their share.

    ``note`` records what the strategy decided beside its proposals, each remark once.
    """

    def __init__(
        self, problem: Problem, pairings: Pairings, seed: int, note: Note | None = None
    ) -> None:
        self._problem, self._pairings, self._seed = problem, pairings, seed
        self._note, self._noted = note, set[str]()

    def propose(self, request: Request) -> list[Design]:
        """Recalled designs first (in an opening), then the strategy's.

        They heed what the user rejected. Where nothing costs less than that, costs may stay.
        """
        objections = understand(request.objections)
        if not objections:
            return self._proposed(request, self._problem, self._pairings, frozenset(), "")
        away, problem = variants(self._problem, objections), bounded(self._problem, objections)
        heeding = _heeding("keeps away from what you rejected", objections)
        pairings = PanelPairings(problem, self._pairings)
        designs = []
        if pairings.leaves_something(away | request.history.tried):
            designs = self._proposed(request, problem, pairings, away, heeding)
        if designs or problem.constraints == self._problem.constraints:
            return designs
        heeding = _heeding("nothing costs less than what you rejected", objections)
        return self._proposed(request, self._problem, self._pairings, away, heeding)

    def _proposed(
        self, request: Request, problem: Problem, pairings: Pairings, away: frozenset[str], why: str
    ) -> list[Design]:
        """A batch for ``problem`` without the networks in ``away``; ``why`` ends each reason."""
        tried = request.history.tried | away
        share = int(request.designs * RECALLED_SHARE)
        from_memory = starting_points(request.recalled, problem, pairings, tried, share)
        tried |= {design.network_key for design in from_memory}
        seed = (self._seed, request.step, request.attempt)
        strategy = make_strategy(
            request.phase.strategy,
            narrowed(problem, request.frontier, request.focus),
            pairings,
            seed,
            request.phase.exploration,
            past=[run.in_space(problem) for run in request.past if run.networks],
        )
        strategy.tell(History(request.history.evaluated, tried))
        proposals = focused(
            strategy,
            request.designs - len(from_memory),
            request.focus,
            problem,
            pairings,
            request.frontier,
            tried,
            np.random.default_rng((*seed, FOCUS_SEED)),
        )
        for remark in strategy.remarks:
            about, _, why = remark.partition(": ")
            if self._note is not None and about not in self._noted:
                self._noted.add(about)
                self._note(request.step, "proposer", "rules", about, why)
        if not proposals:
            return from_memory
        networks = problem.networks(np.stack([p.network for p in proposals]))
        hardware = problem.hardware_space.decode(np.stack([p.hardware for p in proposals]))
        name = f"rules/{strategy.name}"
        origins = [
            Origin(name, p.reason + why, p.parents, expected_gain=p.expected_gain)
            for p in proposals
        ]
        designs = list(map(Design, networks, hardware, origins))
        return [*from_memory, *designs]


def _heeding(what: str, objections: Sequence[Objection]) -> str:
    """What a proposal says of the designs that the user rejected: the last three reasons."""
    reasons = list(dict.fromkeys(objection.reason for objection in objections if objection.reason))
    named = f" ({', '.join(reasons[-3:])})" if reasons else ""
    return f"; {what}{named}"
