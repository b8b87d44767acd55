"""What an evaluation gives: correct answers, cross-entropy, and how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
LOOKS = (0.125, 0.25, 0.5)
"""After these shares of the images an evaluation may stop, if it has no hope."""

LOOK_CONFIDENCE = 1 - (1 - CONFIDENCE) / len(LOOKS)
"""Of each look's interval, so that with 95% all of them hold (Bonferroni)."""


@dataclass(frozen=True)
class Score:
    """How a network did on the first ``images`` images of a split, in the bench's order.

    ``cross_entropy`` is the mean over them in nats, ``cross_entropy_error`` its standard
    error. ``confidence`` is that of the intervals: more where the evaluation was stopped
    at one of several looks. ``seconds`` is its share of what its group took.
    """

    correct: int
    images: int
    cross_entropy: float
    cross_entropy_error: float
    confidence: float = CONFIDENCE
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """Share of the images classified correctly."""
        return self.correct / self.images

    @property
    def standard_error(self) -> float:
        """Of the accuracy, were the images drawn again."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.images)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy."""
        return wilson_interval(self.correct, self.images, self.confidence)

    @property
    def cross_entropy_interval(self) -> tuple[float, float]:
        """Normal; never below 0."""
        spread = _quantile(self.confidence) * self.cross_entropy_error
        return max(0.0, self.cross_entropy - spread), self.cross_entropy + spread


def wilson_interval(
    correct: int, images: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The score interval of a share (Wilson, JASA 22, 1927)."""
    z = _quantile(confidence)
    share = correct / images
    centre = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    spread = math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    half = z * spread / (1 + z**2 / images)
    return max(0.0, centre - half), min(1.0, centre + half)


def hopeless(correct: int, images: int, at_least: float) -> bool:
    """Whether a look's interval lies wholly below ``at_least``."""
    return wilson_interval(correct, images, LOOK_CONFIDENCE)[1] < at_least


def stretches(images: int, batch: int) -> list[tuple[int, int, bool]]:
    """(start, end, whether to look afterwards) of runs of at most ``batch`` images."""
    looks = {math.ceil(images * share) for share in LOOKS} - {images}
    ends = sorted(looks | set(range(batch, images, batch)) | {images})
    return [(start, end, end in looks) for start, end in zip([0, *ends], ends, strict=False)]


def _quantile(confidence: float) -> float:
    """Standard deviations that a normal interval reaches to either side."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)
