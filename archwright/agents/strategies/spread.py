"""The opening: networks spread evenly over the orders of magnitude of complexity.

Uniform draws crowd in the middle of a space; the ends of a front are found by asking
for them. Drawn are networks around a "scale" t in [0, 1] (every ordered choice near the
same share of its range), sorted by multiply-accumulates, and taken at even steps of
log10(MACs). Small spaces are taken whole instead. Partitioning by complexity follows
PEL-NAS (arXiv 2510.01472). Where nothing is free nothing is known of complexity, and
draws are uniform.
"""

from __future__ import annotations

import numpy as np

from archwright.agents.costing import NothingFree
from archwright.agents.problem import Suggestion
from archwright.agents.strategies.common import ENUMERABLE, StartedAnew, balanced_hardware, untried
from archwright.agents.strategies.random_search import RandomSearch
from archwright.front import Floats
from archwright.space import Indices, Space

DRAWS = 512
JITTER = 0.25
"""Spread of each choice around the network's scale, as a share of its range."""


def draw_scaled(space: Space, rng: np.random.Generator, n: int) -> Indices:
    """Networks from the smallest to the largest, shape (n + 2, choices)."""
    top = np.array(space.shape) - 1
    scale = np.linspace(0.0, 1.0, n)[:, None]
    jittered = scale + rng.normal(0.0, JITTER, size=(n, len(top)))
    rows = np.rint(np.clip(jittered, 0.0, 1.0) * top).astype(np.int64)
    unordered = [c for c, choice in enumerate(space.choices) if not choice.ordered]
    rows[:, unordered] = space.sample(rng, n)[:, unordered]
    return np.concatenate([np.zeros((1, len(top)), np.int64), rows, top[None, :]])


class Spread(StartedAnew):
    """Networks at even steps of log10(MACs), the smallest and the largest first."""

    name = "spread"

    def ask(self, n: int) -> list[Suggestion]:
        """Up to ``n`` untried networks, evenly over the complexities not yet covered."""
        if isinstance(self._problem.costing, NothingFree):
            uniform = RandomSearch(self._problem, self._pairings, self._rng)
            uniform.tell(self._history)
            return uniform.ask(n)
        space, tried = self._problem.network_space, self._history.tried
        whole = space.size <= ENUMERABLE
        drawn = space.enumerate() if whole else draw_scaled(space, self._rng, DRAWS)
        rows = untried(space, drawn, tried)
        if len(rows) == 0:
            return []
        complexity = self._pairings.catalogue.complexity(rows)
        proposals: list[Suggestion] = []
        free = np.ones(len(rows), dtype=bool)
        for target in _even_targets(complexity, n):
            while free.any():
                nearest = int(np.argmin(np.where(free, np.abs(complexity - target), np.inf)))
                free[nearest] = False
                pairing = self._pairings.of(rows[nearest])
                if len(pairing):
                    reason = f"covers 10^{complexity[nearest]:.1f} multiply-accumulates"
                    hardware = balanced_hardware(self._problem, pairing)
                    proposals.append(Suggestion(rows[nearest], hardware, reason))
                    break
        return proposals


def _even_targets(complexity: Floats, n: int) -> list[float]:
    """``n`` even steps over the range, both ends first: they anchor the front."""
    targets = np.linspace(complexity.min(), complexity.max(), n).tolist()
    return targets if n < 3 else [targets[0], targets[-1], *targets[1:-1]]
