"""Calibration: what share of its datasheet a platform reaches, from a few measured rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archwright.errors import UserError
from archwright.workload import Workload

if TYPE_CHECKING:
    from archwright.evaluators.hardware.platforms.platform import Platform

PARAMETERS = ("efficiency", "achieved_bandwidth", "launch_overhead_us")
SMALLEST_SHARE = 0.01
"""A program that reaches less of a peak is not what a roofline describes."""
SMALLEST_OVERHEAD_US = 0.1
STARTS = (0.2, 0.5, 0.9)
"""Shares that the search starts from: the model has kinks, hence several."""
ROW_ERROR = 0.05
"""Relative error that a roofline is expected to leave on a row."""
SPREAD = np.array([0.5, 0.5, math.log(10)])
"""How far each parameter is expected to lie from the platform's own, as a logarithm: the
shares within a factor of 1.6, the overhead, which no datasheet gives, within one of 10."""


@dataclass(frozen=True)
class MeasuredLatency:
    """One measured row: a workload, and how long the device took for it, ms."""

    workload: Workload
    latency_ms: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.latency_ms) and self.latency_ms > 0):
            raise UserError(
                f"workload {self.workload.name}: latency_ms = {self.latency_ms}: "
                "must be a number above 0"
            )


def calibrate(
    platform: Platform, rows: Sequence[MeasuredLatency], precision: str | None = None
) -> Platform:
    """``platform`` with the three ``PARAMETERS`` that fit ``rows`` best.

    Least squares of the relative errors, with the platform's own values as the prior
    (``ROW_ERROR``, ``SPREAD``): a parameter that the rows do not tell stays where it is.
    Shares end between ``SMALLEST_SHARE`` and 1, the overhead below the time of the
    shortest layer. Raises :class:`UserError` for fewer rows than parameters, and for rows
    that the platform cannot run.
    """
    from scipy.optimize import least_squares

    from archwright.evaluators.hardware.platforms.roofline import RooflineModel

    if len(rows) < len(PARAMETERS):
        raise UserError(
            f"calibration: {len(rows)} measured rows; at least {len(PARAMETERS)} are needed, "
            f"one for each of {', '.join(PARAMETERS)}"
        )
    workloads = [row.workload for row in rows]
    measured = np.array([row.latency_ms for row in rows])
    layers = np.array([len(workload.layers) for workload in workloads])
    longest_us = max(float((1e3 * measured / layers).min()), 2 * SMALLEST_OVERHEAD_US)
    lower = np.log([SMALLEST_SHARE, SMALLEST_SHARE, SMALLEST_OVERHEAD_US])
    upper = np.log([1.0, 1.0, longest_us])
    own = np.clip(np.log([max(getattr(platform, p), 1e-9) for p in PARAMETERS]), lower, upper)

    def with_values(logarithms: npt.NDArray[np.float64]) -> Platform:
        values = np.exp(logarithms).tolist()
        return platform.model_copy(update=dict(zip(PARAMETERS, values, strict=True)))

    def errors(logarithms: npt.NDArray[np.float64]) -> Any:
        model = RooflineModel(with_values(logarithms), precision)
        misses = model.evaluate(workloads)["latency_ms"] / measured - 1
        return np.concatenate([misses / ROW_ERROR, (logarithms - own) / SPREAD])

    if not np.isfinite(errors(own)).all():
        raise UserError(f"calibration: a measured row does not fit the memory of {platform.name}")
    starts = [np.log([*shares, longest_us / 2]) for shares in product(STARTS, repeat=2)]
    fits = [least_squares(errors, start, bounds=(lower, upper)) for start in (own, *starts)]
    return with_values(min(fits, key=lambda fit: float(fit.cost)).x)
