"""How well accuracy is learned from few measured networks, with what certainty.

On ImageNet accuracies of sub-networks of Once-for-All MobileNetV3: trained on some rows,
tested on all others, ten draws (seeds 0 to 9). The predictor's target, features, groups
and prior were chosen by cross-validation inside the 300 rows of other draws (seeds from
100) of the same table.
"""

from __future__ import annotations

import csv
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archwright.evaluators.predictor import AccuracyPredictor, NetworkFeatures
from archwright.evaluators.rank_statistics import kendall
from archwright.evaluators.supernet.released.predictor import (
    ofa_point,
    ofa_space,
    plan_of_ofa_point,
)
from benchmarks.row import Row

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Model = Callable[[Floats, Floats, Floats], Floats]
"""From features and accuracies to learn from, and features to predict, to predictions."""

SHARED = Path(os.environ.get("ARCHWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))
DRAWS = 10
MORE_DRAWS = 40
"""For coverage, which varies by 2 points from one draw of 300 rows to the next."""
LEVELS = (0.95, 0.8)
ENOUGH = 0.945


class Table:
    """The measured networks: features, accuracies in 0..1, multiply-accumulates."""

    def __init__(self) -> None:
        path = SHARED / "data" / "ofa_mbv3_imagenet.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        points = [
            ofa_point({key: [int(v) for v in row[key].split()] for key in ("ks", "e", "d")})
            for row in rows
        ]
        encode = NetworkFeatures(ofa_space(), plan_of_ofa_point)
        started = time.perf_counter()
        self.features, self.groups = encode(points), encode.groups
        self.encoding_ms = 1000 * (time.perf_counter() - started) / len(rows)
        self.accuracies = np.array([float(row["top1_percent"]) / 100 for row in rows])
        self.macs = np.array([float(row["macs"]) for row in rows])

    def draw(self, seed: int, learned: int) -> tuple[Rows, Rows]:
        """Rows to learn from and all the others."""
        order = np.random.default_rng(seed).permutation(len(self.macs))
        return order[:learned], order[learned:]

    def tau(self, model: Model, learned: Rows, tested: Rows) -> float:
        """Kendall's tau on the tested rows."""
        predicted = model(self.features[learned], self.accuracies[learned], self.features[tested])
        return kendall(self.accuracies[tested], predicted)


def measure() -> list[Row]:
    """Kendall's tau of predictor and baselines; coverage; seconds."""
    table = Table()

    def predictor(features: Floats, accuracies: Floats, others: Floats) -> Floats:
        return AccuracyPredictor(table.groups).fit(features, accuracies).predict(others).mean

    models: dict[str, Model] = {
        "predictor": predictor,
        "ridge regression, same features": ridge,
        "plain Gaussian process, same features": plain_process,
    }
    rows = []
    for learned in (300, 100):
        for name, model in models.items():
            taus = [table.tau(model, *table.draw(seed, learned)) for seed in range(DRAWS)]
            middle, asked = float(np.median(taus)), name == "predictor" and learned == 300
            rows.append(
                Row(
                    f"{name}: tau, {learned} random rows learned",
                    f">= {ENOUGH}" if asked else "",
                    f"{middle:.4f} ({min(taus):.4f} to {max(taus):.4f})",
                    middle >= ENOUGH if asked else None,
                )
            )
    order = np.argsort(table.macs, kind="stable")
    half = len(order) // 2
    for name, model in models.items():
        tau = table.tau(model, order[:half], order[half:])
        what = f"{name}: tau, smaller half of MACs learned, larger tested"
        rows.append(Row(what, "", f"{tau:.4f}", None))
    alone = kendall(table.accuracies, table.macs)
    larger = kendall(table.accuracies[order[half:]], table.macs[order[half:]])
    rows.append(
        Row("MACs alone: tau, all rows; larger half", "", f"{alone:.4f}; {larger:.4f}", None)
    )
    return rows + coverage(table) + speed(table)


def coverage(table: Table) -> list[Row]:
    """How often a measured accuracy lies in its interval."""
    rows = []
    draws = [table.draw(seed, 300) for seed in range(MORE_DRAWS)]
    order = np.argsort(table.macs, kind="stable")
    halves = [(order[: len(order) // 2], order[len(order) // 2 :])]
    small = [table.draw(seed, 100) for seed in range(DRAWS)]
    for what, splits, asked in (
        (f"300 random rows learned, {DRAWS} draws", draws[:DRAWS], True),
        (f"300 random rows learned, {MORE_DRAWS} draws", draws, True),
        (f"100 random rows learned, {DRAWS} draws", small, False),
        ("smaller half of MACs learned, larger tested", halves, False),
    ):
        shares = np.mean([covered(table, *split) for split in splits], axis=0)
        for level, share in zip(LEVELS, shares, strict=True):
            rows.append(
                Row(
                    f"{level:.0%} intervals: measured accuracies inside, {what}",
                    f"within 2 points of {level:.0%}" if asked else "",
                    f"{share:.1%}",
                    bool(abs(share - level) <= 0.02) if asked else None,
                )
            )
    return rows


def covered(table: Table, learned: Rows, tested: Rows) -> list[float]:
    """The share of tested rows inside their intervals, by level."""
    predictor = AccuracyPredictor(table.groups)
    predictor.fit(table.features[learned], table.accuracies[learned])
    truth = table.accuracies[tested]
    found = [predictor.predict(table.features[tested], level) for level in LEVELS]
    return [float(np.mean((p.low <= truth) & (truth <= p.high))) for p in found]


def speed(table: Table) -> list[Row]:
    """Seconds to learn from and to predict."""
    rows = []
    for count in (50, 300, 1000):
        learned, _ = table.draw(0, count)
        started = time.perf_counter()
        predictor = AccuracyPredictor(table.groups)
        predictor.fit(table.features[learned], table.accuracies[learned])
        fitted = time.perf_counter()
        predictor.predict(table.features)
        predicting = (time.perf_counter() - fitted) * 1000 / len(table.macs)
        reached = f"{fitted - started:.2f} s; {predicting:.3f} ms"
        rows.append(Row(f"time to learn from {count} rows; to predict one more", "", reached, None))
    return [
        *rows,
        Row("time to make one network's features", "", f"{table.encoding_ms:.2f} ms", None),
    ]


def ridge(features: Floats, accuracies: Floats, others: Floats) -> Floats:
    """Ridge regression; how much it shrinks by leave-one-out."""
    from sklearn.linear_model import RidgeCV

    features, others = standardised(features, others)
    model = RidgeCV(np.logspace(-3, 4, 29)).fit(features, accuracies)
    return np.asarray(model.predict(others))


def plain_process(features: Floats, accuracies: Floats, others: Floats) -> Floats:
    """scikit-learn's Gaussian process with one length scale for all features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    features, others = standardised(features, others)
    kernel = ConstantKernel(1.0) * RBF(np.sqrt(features.shape[1])) + WhiteKernel(0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianProcessRegressor(kernel, normalize_y=True).fit(features, accuracies)
    return np.asarray(model.predict(others))


def standardised(features: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Both by the mean and deviation of the first; columns that do not vary are left out."""
    varies = features.std(axis=0) > 1e-9
    middle, spread = features[:, varies].mean(axis=0), features[:, varies].std(axis=0)
    return (features[:, varies] - middle) / spread, (others[:, varies] - middle) / spread
