"""The expected hypervolume that a network adds, for many networks at once.

The hypervolume is an integral over the box of costs: at each level u of the costs stands
the best learned loss m(u) of the designs that cost no more. A network that reaches the
levels S with a learned loss e ~ N(mean, deviation) adds the mean over u in S of
max(0, m(u) - e), whose expectation is the expected improvement in closed form (Jones et
al. 1998). So the expected hypervolume improvement (Emmerich et al. 2011) of a network on
all hardware together is a sum over levels. Of several learned objectives the first is e;
levels are drawn for the others, too, and reached with a probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archwright.agents.catalogue import Weights
from archwright.front import Floats

VALUES = 128
"""So many different best losses are told apart while networks are compared."""


@dataclass(frozen=True)
class Bets:
    """Networks with what is expected of them.

    ``reach``, shape (networks, levels), is the probability that a level is reached;
    ``mean`` and ``deviation`` are of the learned loss, and ``limit`` is the largest loss
    that the brief's bound on it allows.
    """

    reach: Weights
    mean: Floats
    deviation: Floats
    limit: float = 1.0

    def take(self, picks: npt.NDArray[np.int64]) -> Bets:
        """Some of the networks."""
        return Bets(self.reach[picks], self.mean[picks], self.deviation[picks], self.limit)


def expected_gain(bets: Bets, best: Floats) -> Floats:
    """What each network is expected to add to the hypervolume, shape (networks,).

    ``best``, shape (levels,), is the best learned loss so far at each level, 1 where none.
    """
    from scipy.special import ndtr

    values, where = _told_apart(np.clip(best, 0.0, 1.0))
    counted = (where[:, None] == np.arange(len(values))).astype(np.float32)
    share = (bets.reach @ counted) / len(best)
    deviation = np.maximum(bets.deviation, 1e-9)[:, None]
    mean = bets.mean[:, None]
    to_beat = np.minimum(values, bets.limit)
    z = (to_beat - mean) / deviation
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    improvement = (to_beat - mean) * ndtr(z) + deviation * density
    allowed = ndtr((bets.limit - mean) / deviation)
    improvement += (values - to_beat) * allowed
    return np.asarray((share * improvement).sum(axis=1))


def best_losses(points: Floats, losses: Floats, levels: Floats) -> Floats:
    """At each level, shape (levels, dimensions), the best loss of the points within it.

    ``points`` has shape (designs, dimensions), ``losses`` (designs,). 1 where there is none.
    """
    best = np.ones(len(levels))
    for point, loss in zip(points, losses, strict=True):
        within = (point <= levels).all(axis=1)
        best[within] = np.minimum(best[within], max(loss, 0.0))
    return best


def _told_apart(best: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The different values, and which of them stands at each level."""
    values, where = np.unique(best, return_inverse=True)
    if len(values) <= VALUES:
        return values, where
    steps = np.linspace(values[0], values[-1], VALUES)
    return steps, np.rint((best - steps[0]) / (steps[1] - steps[0])).astype(np.int64)
