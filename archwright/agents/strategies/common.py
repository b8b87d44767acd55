"""What strategies share: drawing new networks, and choosing the hardware to propose."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from archwright.agents.frontier import Pairing, Pairings
from archwright.agents.problem import History, Problem, Suggestion
from archwright.space import Indices, Space, point_hash

ENUMERABLE = 4096
"""Network spaces up to this size are looked at whole, so that their last point is found."""


class StartedAnew:
    """What every strategy begins with: the problem, its pairings, chance, and a history.

    ``tell`` replaces the history; a strategy is told once, before it is asked.
    """

    def __init__(self, problem: Problem, pairings: Pairings, rng: np.random.Generator) -> None:
        self._problem, self._pairings, self._rng = problem, pairings, rng
        self._history = History()
        self.remarks: tuple[str, ...] = ()

    def tell(self, history: History) -> None:
        """Learn what earlier steps measured and tried."""
        self._history = history

    def _beside(self, proposals: Sequence[Suggestion]) -> History:
        """The history for what is proposed beside ``proposals``: their networks are taken."""
        if not proposals:
            return self._history
        rows = np.stack([proposal.network for proposal in proposals])
        keys = network_keys(self._problem.network_space, rows)
        return History(self._history.evaluated, self._history.tried | frozenset(keys))


def network_keys(space: Space, rows: Indices) -> list[str]:
    """The keys of networks, given as rows of indices."""
    return [point_hash(point) for point in space.decode(rows)]


def untried(space: Space, rows: Indices, tried: Collection[str]) -> Indices:
    """The rows that are neither tried nor repeated, in their order."""
    kept, seen = [], set(tried)
    for position, key in enumerate(network_keys(space, rows)):
        if key not in seen:
            seen.add(key)
            kept.append(position)
    return rows[kept]


def draw_untried(
    space: Space, rng: np.random.Generator, tried: Collection[str], patience: int = 20
) -> Iterator[Indices]:
    """Untried networks, uniformly, each once; ends when the space seems exhausted."""
    if space.size <= ENUMERABLE:
        rows = space.enumerate()
        yield from untried(space, rows[rng.permutation(len(rows))], tried)
        return
    seen, misses = set(tried), 0
    while misses < patience:
        fresh = untried(space, space.sample(rng, 64), seen)
        misses = 0 if len(fresh) else misses + 1
        seen.update(network_keys(space, fresh))
        yield from fresh


def balanced_hardware(problem: Problem, pairing: Pairing) -> Indices:
    """The hardware of a pairing that compromises best between the cost objectives.

    It is the closest to the corner where every cost is at its best bound or better.
    """
    losses = problem.cost_losses(pairing.costs)
    distance = (np.clip(losses, 0.0, None) ** 2).sum(axis=1)
    return np.asarray(pairing.hardware[int(np.argmin(distance))])
