"""Regularised evolution: the youngest networks live, the best of a few of them has a child.

Real, Aggarwal, Huang and Le, "Regularized evolution for image classifier architecture
search", AAAI 2019 (arXiv 1802.01548). Of two networks in a tournament the better is the
one of the lower non-domination rank among those alive, then the one in the less crowded
part of its front, so that a population spreads along the front; with a single loss it is
the one with the smaller loss.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from archwright.agents.strategies.classic import Classic, Idea
from archwright.agents.strategies.view import View, places

POPULATION = 50
"""Networks alive: the last ones evaluated, fewer while fewer are known."""
TOURNAMENT = 10
"""Draws of a tournament, with repetition.

Both sizes are those of the reference code of NAS-Bench-101 (Ying et al. 2019, arXiv
1902.09635), for budgets below the 20,000 evaluations of Real et al. (100 and 25).
"""


class RegularisedEvolution(Classic):
    """Children that differ from a tournament's winner in one choice; the oldest die."""

    name = "evolution"

    def _ideas(self, view: View) -> Iterator[Idea]:
        """One child of one tournament after the other."""
        alive, space = view.latest(POPULATION), self._problem.network_space
        place, rows = places(alive), alive.rows
        open_choices = [c for c, values in enumerate(space.shape) if values > 1]
        while True:
            contenders = self._rng.integers(len(alive), size=TOURNAMENT)
            winner = contenders[np.argmin(place[contenders])]
            c = int(self._rng.choice(open_choices))
            child = rows[winner].copy()
            child[c] = (child[c] + self._rng.integers(1, space.shape[c])) % space.shape[c]
            values = space.choices[c].values
            change = f"{space.names[c]} {values[rows[winner, c]]} -> {values[child[c]]}"
            reason = f"a tournament's winner with {change}"
            yield Idea(child, reason, (alive.networks[winner].design,))
