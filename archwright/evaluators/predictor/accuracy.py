"""A learned accuracy predictor that knows how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archwright.errors import DataError
from archwright.evaluators.predictor.process import GaussianProcess

Floats = npt.NDArray[np.float64]

EPSILON = 0.005
"""Keeps the logarithm finite where every image was right."""
FEWEST, MOST = 4, 4000
SMALLEST_SPREAD = 1e-3
"""Where all accuracies are equal, a difference of this size in the target still counts as 1."""


@dataclass(frozen=True)
class Prediction:
    """Of accuracies; each of shape (networks,).

    ``deviation``: standard deviation of what a network's accuracy is expected to be,
    without a measurement's noise. A measured accuracy lies in ``low``..``high`` as often
    as the level says that was asked for.
    """

    mean: Floats
    deviation: Floats
    low: Floats
    high: Floats


class AccuracyPredictor:
    """Gaussian process regression of log(error + epsilon) on a network's features.

    Errors span orders of magnitude between the smallest and the largest networks, and a
    step from 3% to 2% is as hard as one from 30% to 20%. ``groups`` names for each column
    of the features what it belongs to; columns of a group are weighed together. Without
    it all columns are one group.

    Intervals are the process's own, scaled by how far off it is about each row when it
    knows only the others: quantiles of those residuals in units of the predicted
    deviation (the jackknife's conformal form, Barber et al., arXiv 1905.02928, with the
    process's deviations as in Papadopoulos et al., 2011).
    """

    def __init__(self, groups: Sequence[str] | None = None, seed: int = 0) -> None:
        self._names = tuple(groups) if groups is not None else None
        self._seed = seed

    def fit(self, features: Floats, accuracies: Sequence[float] | Floats) -> AccuracyPredictor:
        """Learn from ``features`` (networks, columns) and ``accuracies`` (networks,) in 0..1.

        Raises :class:`DataError` for fewer than 4 networks, more than 4,000, other
        shapes, accuracies outside 0..1 and values that are not finite.
        """
        features = _checked(features, len(self._names) if self._names is not None else None)
        measured = np.asarray(accuracies, np.float64)
        if measured.shape != (len(features),):
            raise DataError(
                f"accuracies of shape {measured.shape}; allowed ({len(features)},), as the features"
            )
        if not FEWEST <= len(measured) <= MOST:
            raise DataError(f"{len(measured)} networks to learn from; allowed {FEWEST} to {MOST}")
        if not ((measured >= 0) & (measured <= 1)).all():
            raise DataError("accuracies: allowed 0 to 1")
        targets = np.log(1.0 - measured + EPSILON)
        self._centre, self._spread = targets.mean(), max(targets.std(), SMALLEST_SPREAD)
        inputs, groups = self._standardised(features)
        self._process = GaussianProcess(groups)
        self._process.fit(inputs, (targets - self._centre) / self._spread, self._seed)
        mean, variance = self._process.leave_one_out()
        off = (targets - self._centre) / self._spread - mean
        self._misses = np.sort(np.abs(off) / np.sqrt(variance))
        return self

    def predict(self, features: Floats, level: float = 0.95) -> Prediction:
        """Predict networks of ``features`` (networks, columns), intervals at ``level``."""
        if not 0 < level < 1:
            raise DataError(f"level = {level}: allowed between 0 and 1")
        inputs = (_checked(features, len(self._kept))[:, self._kept] - self._middle) * self._scale
        mean, variance = self._process.predict(inputs)
        reach = self._reach(level) * np.sqrt(variance + self._process.noise)
        certain = self._accuracy(mean)
        per_unit = self._spread * (1.0 + EPSILON - certain)  # of the logarithm, to first order
        return Prediction(
            mean=certain,
            deviation=np.sqrt(variance) * per_unit,
            low=self._accuracy(mean + reach),
            high=self._accuracy(mean - reach),
        )

    def _accuracy(self, standardised: Floats) -> Floats:
        """Of a standardised log(error + epsilon)."""
        error = np.exp(np.minimum(self._centre + self._spread * standardised, 0.01))
        return np.asarray(np.clip(1.0 + EPSILON - error, 0.0, 1.0))

    def _reach(self, level: float) -> float:
        """How many predicted deviations an interval of this level reaches."""
        from scipy.stats import t

        n = len(self._misses)
        rank = math.ceil((n + 1) * level)
        if rank <= n:
            return float(self._misses[rank - 1])
        size = math.sqrt(float((self._misses**2).mean()))
        return max(float(self._misses[-1]), size * float(t.ppf((1 + level) / 2, n - 1)))

    def _standardised(self, features: Floats) -> tuple[Floats, list[npt.NDArray[np.int64]]]:
        """Columns with mean 0, and a mean squared row of 1 in each group."""
        names = self._names or ("all",) * features.shape[1]
        deviation = features.std(axis=0)
        self._kept = deviation > 1e-9 * np.maximum(np.abs(features).max(axis=0), 1.0)
        if not self._kept.any():  # equal networks: any column says as little as the others
            self._kept[:1], deviation[:1] = True, 1.0
        names = tuple(name for name, kept in zip(names, self._kept, strict=True) if kept)
        self._middle = features[:, self._kept].mean(axis=0)
        columns = np.array([names.count(name) for name in names])
        self._scale = 1.0 / (deviation[self._kept] * np.sqrt(columns))
        groups = [
            np.flatnonzero([name == group for name in names]) for group in dict.fromkeys(names)
        ]
        return (features[:, self._kept] - self._middle) * self._scale, groups


def _checked(features: Floats, columns: int | None) -> Floats:
    """Features of shape (networks, columns); of any number of columns where that is None."""
    features = np.asarray(features, np.float64)
    fits = features.ndim == 2 and features.shape[1] > 0
    if not fits or columns not in (None, features.shape[1]):
        wanted = "columns" if columns is None else columns
        raise DataError(f"features of shape {features.shape}; allowed (networks, {wanted})")
    if not np.isfinite(features).all():
        raise DataError("features that are not finite; allowed finite numbers")
    return features
