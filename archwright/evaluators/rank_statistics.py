"""How well one number orders networks as another does: Kendall's tau, Spearman, bootstrap.

Numbers in, numbers out: what they are (a proxy, a prediction, inherited weights, the
truth) is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archwright.errors import DataError

Floats = npt.NDArray[np.float64]

DRAWS = 1000
CONFIDENCE = 0.95
FEWEST = 3


@dataclass(frozen=True)
class RankAgreement:
    """Rank correlations of two lists over the same networks, with 95% bootstrap intervals.

    All lie in -1..1; NaN where one of the lists is constant, so that it orders nothing.
    """

    networks: int
    kendall: float
    kendall_low: float
    kendall_high: float
    spearman: float
    spearman_low: float
    spearman_high: float


def rank_agreement(
    truth: Sequence[float] | Floats,
    predicted: Sequence[float] | Floats,
    seed: int = 0,
    draws: int = DRAWS,
) -> RankAgreement:
    """Kendall's tau-b and Spearman's rho of ``predicted`` against ``truth``.

    The intervals are percentiles over ``draws`` resamples of the networks with
    repetition (Efron, Annals of Statistics 7, 1979). Memory grows with the square of
    the networks: meant for up to a few thousand. Raises :class:`DataError` for lists of
    different lengths, fewer than three networks or values that are not finite.
    """
    first, second = _checked(truth, predicted)
    generator = np.random.default_rng(seed)
    samples = generator.integers(0, len(first), size=(draws, len(first)))
    rhos = [_spearman(first[sample], second[sample]) for sample in samples]
    taus = _kendall_of_samples(first, second, samples)
    return RankAgreement(
        len(first),
        kendall(first, second),
        *_interval(taus),
        _spearman(first, second),
        *_interval(np.array(rhos)),
    )


def kendall(truth: Sequence[float] | Floats, predicted: Sequence[float] | Floats) -> float:
    """Kendall's tau-b (Biometrika 33, 1945) alone: in n log n, for any number of networks.

    Ties, in either list, are neither agreement nor disagreement. Raises as
    :func:`rank_agreement`.
    """
    from scipy.stats import kendalltau

    return float(kendalltau(*_checked(truth, predicted)).statistic)


def _kendall_of_samples(first: Floats, second: Floats, samples: npt.NDArray[np.int64]) -> Floats:
    """Tau-b of each row of ``samples``, which are networks' indices, some of them repeated.

    With n_i copies of network i, the pair (i, j) counts n_i n_j times; pairs of a
    network with its own copies are ties in both lists and drop out.
    """
    copies = np.stack([np.bincount(row, minlength=len(first)) for row in samples]).astype(float)
    order_first = np.sign(first[:, None] - first)
    order_second = np.sign(second[:, None] - second)

    def total(pairs: Floats) -> Floats:
        return np.asarray(((copies @ pairs) * copies).sum(axis=1))

    agreement = total(order_first * order_second)
    ordered = total(order_first**2) * total(order_second**2)
    undefined = np.full(len(samples), np.nan)
    np.divide(agreement, np.sqrt(ordered), out=undefined, where=ordered > 0)
    return undefined


def _spearman(first: Floats, second: Floats) -> float:
    """Pearson's correlation of the ranks; tied values share their mean rank."""
    from scipy.stats import rankdata

    one, other = (rankdata(values) - (len(values) + 1) / 2 for values in (first, second))
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / spread if spread > 0 else float("nan")


def _checked(
    truth: Sequence[float] | Floats, predicted: Sequence[float] | Floats
) -> tuple[Floats, Floats]:
    first, second = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise DataError(
            f"ranks of shapes {first.shape} and {second.shape}; allowed two lists of one length"
        )
    if len(first) < FEWEST:
        raise DataError(f"ranks of {len(first)} networks; allowed at least {FEWEST}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("ranks of values that are not finite; allowed finite numbers")
    return first, second


def _interval(values: Floats) -> tuple[float, float]:
    """The middle share ``CONFIDENCE`` of the values that are defined."""
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        return float("nan"), float("nan")
    edge = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(defined, [edge, 100 - edge])
    return float(low), float(high)
