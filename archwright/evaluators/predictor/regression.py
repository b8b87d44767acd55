"""Gaussian process regression of any target on columns of any scale."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from archwright.evaluators.predictor.process import LEARNED_FROM, GaussianProcess

Floats = npt.NDArray[np.float64]

SMALLEST_SPREAD = 1e-3
"""Where all targets are equal, a difference of this size still counts as 1."""


class Regression:
    """A :class:`GaussianProcess` on standardised columns and targets.

    ``groups`` names for each column what it belongs to; columns of a group are weighed
    together. The process's few parameters are learned from ``learned_from`` rows. The
    groups in ``telling`` are expected to explain half of what groups explain alone.
    """

    def __init__(
        self,
        groups: Sequence[str],
        seed: int = 0,
        learned_from: int = LEARNED_FROM,
        telling: Collection[str] = (),
    ) -> None:
        self._groups, self._seed, self._learned_from = tuple(groups), seed, learned_from
        self._telling = telling

    def fit(self, features: Floats, targets: Floats) -> Regression:
        """Learn from ``features`` (networks, columns) and ``targets`` (networks,)."""
        self._centre, self.spread = targets.mean(), max(targets.std(), SMALLEST_SPREAD)
        inputs, groups, shares = self._standardised(features)
        self._process = GaussianProcess(groups, self._learned_from, shares)
        self._process.fit(inputs, (targets - self._centre) / self.spread, self._seed)
        return self

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of what a target is expected to be, without noise."""
        mean, variance = self._process.predict(
            (features[:, self._kept] - self._middle) * self._scale
        )
        return self._centre + self.spread * mean, self.spread * np.sqrt(variance)

    def mean(self, features: Floats) -> Floats:
        """The mean alone, shape (networks,): quick for many."""
        return np.asarray(self._centre + self.spread * self._process.mean(self._inputs(features)))

    def _inputs(self, features: Floats) -> Floats:
        return np.asarray((features[:, self._kept] - self._middle) * self._scale)

    @property
    def noise(self) -> float:
        """The standard deviation of a measurement's noise."""
        return float(self.spread * np.sqrt(self._process.noise))

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Mean and deviation, noise included, of each target from all others."""
        mean, variance = self._process.leave_one_out()
        return self._centre + self.spread * mean, self.spread * np.sqrt(variance)

    def _standardised(self, features: Floats) -> tuple[Floats, list[npt.NDArray[np.int64]], Floats]:
        """Columns with mean 0 and a mean squared row of 1 in each group; groups; their shares."""
        deviation = features.std(axis=0)
        self._kept = deviation > 1e-9 * np.maximum(np.abs(features).max(axis=0), 1.0)
        if not self._kept.any():  # equal networks: any column says as little as the others
            self._kept[:1], deviation[:1] = True, 1.0
        names = tuple(name for name, kept in zip(self._groups, self._kept, strict=True) if kept)
        self._middle = features[:, self._kept].mean(axis=0)
        columns = np.array([names.count(name) for name in names])
        self._scale = 1.0 / (deviation[self._kept] * np.sqrt(columns))
        groups = [
            np.flatnonzero([name == group for name in names]) for group in dict.fromkeys(names)
        ]
        telling = np.array([group in self._telling for group in dict.fromkeys(names)])
        shares = np.where(telling, 1 / max(telling.sum(), 1), 1 / max((~telling).sum(), 1))
        return self._inputs(features), groups, shares / shares.sum()
