"""Random search: the baseline that every report shows, and the simplest strategy to copy."""

from __future__ import annotations

from archwright.agents.problem import Suggestion
from archwright.agents.strategies.common import (
    ENUMERABLE,
    StartedAnew,
    balanced_hardware,
    draw_untried,
)

PATIENCE = 1024
"""Networks in a row that no hardware suits before a space too large to enumerate is given up."""


class RandomSearch(StartedAnew):
    """Untried networks drawn uniformly, each with its best-balanced hardware."""

    name = "random"

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
