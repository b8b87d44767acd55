"""The front and its hypervolume.

Bounds are fixed before a run's first evaluation, so that its score can be compared
from step to step and from run to run: accuracy from chance to 1, costs in log10 over
a seeded sample of the design space. The reference point is the worst corner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archwright.measurement import METRICS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """The range of one objective. ``log`` says that values are compared as log10.

    ``maximise``: whether more is better; None for what :data:`METRICS` says of the metric.
    """

    metric: str
    low: float
    high: float
    log: bool
    maximise: bool | None = None

    def normalise(self, values: Floats) -> Floats:
        """Values to losses: 0 at the best bound, 1 at the worst. Not clipped."""
        low, high = (np.log10(self.low), np.log10(self.high)) if self.log else (self.low, self.high)
        with np.errstate(divide="ignore"):
            scaled = np.log10(values) if self.log else values
        span = max(high - low, 1e-12)
        loss = (scaled - low) / span
        return 1.0 - loss if self.rises else loss

    def value(self, loss: float) -> float:
        """The value that has this loss."""
        low, high = (np.log10(self.low), np.log10(self.high)) if self.log else (self.low, self.high)
        scaled = low + (1.0 - loss if self.rises else loss) * max(high - low, 1e-12)
        return float(10.0**scaled if self.log else scaled)

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return METRICS[self.metric].maximise if self.maximise is None else self.maximise


@dataclass(frozen=True)
class Score:
    """How designs are compared in one run: the objectives' bounds, in order."""

    bounds: tuple[Bound, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The objectives, in order."""
        return tuple(bound.metric for bound in self.bounds)

    def losses(self, values: Mapping[str, Floats]) -> Floats:
        """Metric arrays of shape (designs,) to losses of shape (designs, objectives)."""
        return np.stack([b.normalise(np.asarray(values[b.metric], float)) for b in self.bounds], -1)

    def hypervolume(self, losses: Floats) -> float:
        """The share of the unit cube that ``losses`` dominate: 0 to 1.

        Losses below 0 (better than the bound) count as 0, so that the score is a share.
        """
        inside = np.clip(losses, 0.0, None)
        inside = inside[np.all(inside < 1.0, axis=1)]
        if len(inside) == 0:
            return 0.0
        import moocore

        return float(moocore.hypervolume(inside, ref=np.ones(inside.shape[1])))


def bounds_from_sample(
    objectives: Sequence[str], classes: int, sample: Mapping[str, Floats]
) -> tuple[Bound, ...]:
    """The bounds of a run. ``sample`` holds each cost of a seeded sample of designs."""
    bounds = []
    for metric in objectives:
        if metric == "accuracy":
            bounds.append(Bound(metric, 1.0 / classes, 1.0, log=False))
            continue
        values = sample[metric][np.isfinite(sample[metric]) & (sample[metric] > 0)]
        bounds.append(Bound(metric, float(values.min()), float(values.max()), log=True))
    return tuple(bounds)


def shares_lost(losses: Floats, front: Floats) -> Floats:
    """Losses scaled from the best (0) to the worst (1) of each objective over ``front``.

    Shapes (designs, objectives) and (points, objectives).
    """
    ideal, worst = front.min(axis=0), front.max(axis=0)
    return np.asarray((losses - ideal) / np.maximum(worst - ideal, 1e-12))


def non_dominated(losses: Floats) -> npt.NDArray[np.bool_]:
    """Mask of the rows of ``losses`` (designs, objectives; smaller is better) on the front.

    Of equal rows the first is kept.
    """
    if len(losses) == 0:
        return np.zeros(0, dtype=bool)
    import moocore

    return np.asarray(moocore.is_nondominated(losses, keep_weakly=False), dtype=bool)
