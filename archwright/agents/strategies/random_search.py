"""Random search: the baseline that every report shows, and the simplest strategy to copy."""

from __future__ import annotations

import numpy as np

from archwright.agents.frontier import Pairings
from archwright.agents.problem import History, Problem, Suggestion
from archwright.agents.strategies.common import (
    ENUMERABLE,
    balanced_hardware,
    draw_untried,
)

PATIENCE = 1024
"""Networks in a row that no hardware suits before a space too large to enumerate is given up."""


class RandomSearch:
    """Untried networks drawn uniformly, each with its best-balanced hardware."""

    name = "random"

    def __init__(self, problem: Problem, pairings: Pairings, rng: np.random.Generator) -> None:
        self._problem, self._pairings, self._rng = problem, pairings, rng
        self._history = History()

    def tell(self, history: History) -> None:
        """Remember what was tried."""
        self._history = history

    def ask(self, n: int) -> list[Suggestion]:
        """Up to ``n`` untried networks that some hardware can run within the bounds."""
        space = self._problem.network_space
        proposals: list[Suggestion] = []
        misses = 0
        for row in draw_untried(space, self._rng, self._history.tried):
            if len(proposals) == n or (misses == PATIENCE and space.size > ENUMERABLE):
                break
            pairing = self._pairings.of(row)
            misses = 0 if len(pairing) else misses + 1
            if len(pairing):
                hardware = balanced_hardware(self._problem, pairing)
                proposals.append(Suggestion(row, hardware, "drawn uniformly"))
        return proposals
