"""A Gaussian process for few rows and many columns: a linear part and a smooth one.

Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equations by
number. The covariance of two networks x and x' is

    1 + sum_g a_g <x_g, x'_g> + b M(sum_g w_g |x_g - x'_g|^2) + noise [x is x']

over groups g of columns: what a choice adds by itself (linear), what choices do together
(M, Matern 5/2, eq. 4.17), and a measurement's noise. Few parameters (a, b, w, noise) say
how much each group matters, so that they can be learned from some dozens of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEARNED_FROM = 300
"""Rows from which the parameters are learned, drawn by seed; the process knows all rows."""
STEPS = 60
PRIOR_DEVIATION = 1.0
"""Of the parameters' logarithms around where they start; holds them where rows are few."""
JITTER = 1e-8
LOG_BOUNDS, LOG_NOISE_BOUNDS = (-12.0, 6.0), (-9.0, 1.0)


class GaussianProcess:
    """Regression of targets with mean about 0 and deviation about 1.

    ``groups`` says which columns of the inputs belong together, ``shares`` (summing to 1)
    how much each is expected to explain by itself (all alike, if None); ``learned_from`` how
    many rows the parameters are learned from.
    """

    def __init__(
        self,
        groups: Sequence[npt.NDArray[np.int64]],
        learned_from: int = LEARNED_FROM,
        shares: Floats | None = None,
    ) -> None:
        self._groups, self._learned_from = groups, learned_from
        each = np.ones(len(groups))
        linear = 0.5 * (each / len(groups) if shares is None else shares)
        self._start = np.log(np.concatenate([linear, [0.5], 0.1 * each, [0.05]]))

    def fit(self, inputs: Floats, targets: Floats, seed: int) -> None:
        """Learn from ``inputs``, shape (rows, columns), and ``targets``, shape (rows,)."""
        from scipy.linalg import cho_factor, cho_solve

        rows = np.random.default_rng(seed).permutation(len(inputs))[: self._learned_from]
        self._parameters = self._learned(inputs[rows], targets[rows])
        self._inputs = inputs
        covariance = self._covariance(inputs, inputs)
        covariance[np.diag_indices_from(covariance)] += self.noise + JITTER
        self._factor = cho_factor(covariance, lower=True)
        self._weights = cho_solve(self._factor, targets)
        inverse = cho_solve(self._factor, np.eye(len(inputs)))
        self._precision = np.diag(inverse)
        self._targets = targets

    @property
    def noise(self) -> float:
        """The variance of a measurement's noise."""
        return float(np.exp(self._parameters[-1]))

    def mean(self, inputs: Floats) -> Floats:
        """Mean (eq. 2.25) of the target, shape (rows,), in single precision: quick for many."""
        one, other, weights = (
            values.astype(np.float32) for values in (inputs, self._inputs, self._weights)
        )
        return np.asarray(self._covariance(one, other) @ weights, np.float64)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and variance (eq. 2.25, 2.26) of the noise-free target, each (rows,)."""
        from scipy.linalg import solve_triangular

        covariance = self._covariance(inputs, self._inputs)
        known = solve_triangular(self._factor[0], covariance.T, lower=True)
        variance = self._variance(inputs) - (known**2).sum(axis=0)
        return covariance @ self._weights, np.maximum(variance, 0.0)

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Mean and variance, noise included, of each row's target from all others (eq. 5.12)."""
        return self._targets - self._weights / self._precision, 1.0 / self._precision

    def _covariance(self, one: Any, other: Any) -> Any:
        """Of all rows with all, shape (rows of one, rows of other), in the rows' precision."""
        linear, smooth, lengths, _ = self._unpacked(self._parameters)
        a, w = self._by_column(linear), np.sqrt(self._by_column(lengths))
        a, w = a.astype(one.dtype), w.astype(one.dtype)
        covariance = _matern_alone(_squared_distance(one * w, other * w))
        covariance *= one.dtype.type(smooth)
        covariance += (one * a) @ other.T
        covariance += 1.0
        return covariance

    def _by_column(self, values: Floats) -> Floats:
        """A value of each group at each of its columns."""
        columns = np.zeros(sum(len(group) for group in self._groups))
        for value, group in zip(values, self._groups, strict=True):
            columns[group] = value
        return columns

    def _variance(self, inputs: Floats) -> Floats:
        """The diagonal of ``_covariance`` of the inputs with themselves."""
        linear, smooth, _, _ = self._unpacked(self._parameters)
        return np.asarray(1.0 + smooth + inputs**2 @ self._by_column(linear))

    def _unpacked(self, logarithms: Floats) -> tuple[Floats, float, Floats, float]:
        """Linear variances a, smooth variance b, inverse squared lengths w, noise."""
        n, values = len(self._groups), np.exp(logarithms)
        return values[:n], float(values[n]), values[n + 1 : -1], float(values[-1])

    def _learned(self, inputs: Floats, targets: Floats) -> Floats:
        """The parameters' logarithms with the largest posterior density."""
        from scipy.optimize import minimize

        products = [inputs[:, g] @ inputs[:, g].T for g in self._groups]
        distances = [_squared_distance(inputs[:, g], inputs[:, g]) for g in self._groups]

        def loss(logarithms: Floats) -> tuple[float, Floats]:
            return self._loss(logarithms, products, distances, targets)

        bounds = [LOG_BOUNDS] * (len(self._start) - 1) + [LOG_NOISE_BOUNDS]
        found: Any = minimize(
            loss,
            self._start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": STEPS},
        )
        return np.asarray(found.x)

    def _loss(
        self, logarithms: Floats, products: list[Floats], distances: list[Floats], targets: Floats
    ) -> tuple[float, Floats]:
        """Negative log posterior (eq. 2.30 and the prior), and its gradient (eq. 5.9)."""
        from scipy.linalg import lapack

        linear, smooth, lengths, noise = self._unpacked(logarithms)
        distance = sum(w * d for w, d in zip(lengths, distances, strict=True))
        matern, slope = _matern(np.asarray(distance))
        covariance = 1.0 + sum(a * p for a, p in zip(linear, products, strict=True))
        covariance = np.asarray(covariance + smooth * matern)
        covariance[np.diag_indices_from(covariance)] += noise + JITTER
        off = (logarithms - self._start) / PRIOR_DEVIATION
        factor, failed = lapack.dpotrf(covariance, lower=1)
        if failed:  # so ill-conditioned that rounding made it indefinite: nothing to go to
            return 1e10, np.zeros_like(logarithms)
        triangle, _ = lapack.dpotri(factor, lower=1)
        inverse = np.tril(triangle) + np.tril(triangle, -1).T
        weights = inverse @ targets
        excess = inverse - np.outer(weights, weights)
        bent = smooth * excess * slope
        gradient = [
            *(a * np.vdot(excess, p) for a, p in zip(linear, products, strict=True)),
            smooth * np.vdot(excess, matern),
            *(w * np.vdot(bent, d) for w, d in zip(lengths, distances, strict=True)),
            noise * np.trace(excess),
        ]
        value = 0.5 * targets @ weights + np.log(np.diag(factor)).sum() + 0.5 * (off @ off)
        return float(value), 0.5 * np.array(gradient) + off / PRIOR_DEVIATION


def _squared_distance(one: Floats, other: Floats) -> Floats:
    """Between all rows, shape (rows of one, rows of other)."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)
    return np.asarray(np.maximum(squares - 2 * one @ other.T, 0.0))


def _matern(squared: Floats) -> tuple[Floats, Floats]:
    """Matern 5/2 of a squared distance, and its derivative by the squared distance."""
    r = np.sqrt(5.0 * squared)
    decay = np.exp(-r)
    return (1.0 + r + r**2 / 3.0) * decay, -5.0 / 6.0 * (1.0 + r) * decay


def _matern_alone(squared: Floats) -> Floats:
    """The same without the derivative, in place: for many rows."""
    r = np.sqrt(5.0 * squared, out=squared)
    value = 1.0 + r
    value += r * r / 3.0
    value *= np.exp(-r, out=r)
    return value
