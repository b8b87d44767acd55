"""A learned accuracy predictor that knows how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archwright.errors import DataError
from archwright.evaluators.predictor.regression import Regression

Floats = npt.NDArray[np.float64]

EPSILON = 0.005
"""Keeps the logarithm finite where every image was right."""
FEWEST, MOST = 4, 4000


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
        groups = self._names or ("all",) * features.shape[1]
        self._columns = features.shape[1]
        self._regression = Regression(groups, self._seed).fit(features, targets)
        mean, deviation = self._regression.leave_one_out()
        self._misses = np.sort(np.abs(targets - mean) / deviation)
        return self

    def predict(self, features: Floats, level: float = 0.95) -> Prediction:
        """Predict networks of ``features`` (networks, columns), intervals at ``level``."""
        if not 0 < level < 1:
            raise DataError(f"level = {level}: allowed between 0 and 1")
        mean, deviation = self._regression.predict(_checked(features, self._columns))
        reach = self._reach(level) * np.hypot(deviation, self._regression.noise)
        certain = self._accuracy(mean)
        return Prediction(
            mean=certain,
            deviation=deviation * (1.0 + EPSILON - certain),  # of the logarithm, to first order
            low=self._accuracy(mean + reach),
            high=self._accuracy(mean - reach),
        )

    def _accuracy(self, logarithm: Floats) -> Floats:
        """Of a log(error + epsilon)."""
        return np.asarray(np.clip(1.0 + EPSILON - np.exp(np.minimum(logarithm, 0.01)), 0.0, 1.0))

    def _reach(self, level: float) -> float:
        """How many predicted deviations an interval of this level reaches."""
        from scipy.stats import t

        n = len(self._misses)
        rank = math.ceil((n + 1) * level)
        if rank <= n:
            return float(self._misses[rank - 1])
        size = math.sqrt(float((self._misses**2).mean()))
        return max(float(self._misses[-1]), size * float(t.ppf((1 + level) / 2, n - 1)))


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
