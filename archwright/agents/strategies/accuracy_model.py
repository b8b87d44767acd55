"""A surrogate of accuracy: a Gaussian process over networks, with uncertainty.

The target is log(error + epsilon): errors span orders of magnitude between the
smallest and the largest networks, and a step from 3% to 2% is as hard as one from
30% to 20%.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from archwright.agents.problem import Evaluated, Problem
from archwright.front import Floats
from archwright.space import Indices

EPSILON = 0.005
"""Keeps the logarithm finite where every image was right; about two images of 400."""

SMALLEST_SPREAD = 1e-3
"""Where all accuracies are equal, a difference of this size in the target still counts as 1."""


@dataclass(frozen=True)
class Prediction:
    """Predicted log(error + epsilon): mean and standard deviation, each of shape (networks,).

    The deviation is that of the expected accuracy: the noise of a measurement is not in it.
    """

    mean: Floats
    deviation: Floats

    def accuracy(self, deviations: float = 0.0) -> Floats:
        """Accuracy when the error is ``deviations`` standard deviations below its mean."""
        return np.clip(1.0 + EPSILON - np.exp(self.mean - deviations * self.deviation), 0.0, 1.0)


class AccuracyModel:
    """Gaussian process regression (Matern 5/2) from a network's choices and size."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def fit(self, evaluated: tuple[Evaluated, ...]) -> None:
        """Learn from measured accuracies; at least two networks."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        rows = np.stack([network.row for network in evaluated])
        targets = np.log(1.0 - np.array([network.accuracy for network in evaluated]) + EPSILON)
        self._center, self._scale = targets.mean(), max(targets.std(), SMALLEST_SPREAD)
        features = self._features(rows)
        kernel = ConstantKernel(1.0, (0.05, 50.0)) * Matern(
            np.full(features.shape[1], 2.0), (0.1, 100.0), nu=2.5
        ) + WhiteKernel(0.05, (1e-3, 1.0))
        self._process = GaussianProcessRegressor(kernel, random_state=0)
        with warnings.catch_warnings():
            # A length scale at its bound means only that a choice does not matter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(features, (targets - self._center) / self._scale)

    def predict(self, rows: Indices) -> Prediction:
        """Predict networks given as indices, shape (networks, choices)."""
        mean, deviation = self._process.predict(self._features(rows), return_std=True)
        noise = self._process.kernel_.k2.noise_level
        noise_free = np.sqrt(np.maximum(deviation**2 - noise, 0.0))
        return Prediction(self._center + self._scale * mean, self._scale * noise_free)

    def _features(self, rows: Indices) -> Floats:
        """Shape (networks, features): choices scaled to 0..1, words one-hot, log sizes."""
        columns: list[Floats] = []
        for c, choice in enumerate(self._problem.network_space.choices):
            if choice.ordered:
                columns.append(rows[:, c] / max(len(choice.values) - 1, 1))
            else:
                columns.extend((rows[:, c] == v).astype(float) for v in range(len(choice.values)))
        workloads = self._problem.costing.workloads(rows)
        columns.append(np.log10([w.macs for w in workloads]))
        columns.append(np.log10([w.parameters for w in workloads]))
        return np.stack(columns, axis=1).astype(np.float64)
