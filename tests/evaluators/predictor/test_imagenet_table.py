"""On measured ImageNet accuracies, where they are at hand."""

import csv

import numpy as np
import pytest

from archwright.evaluators.predictor import AccuracyPredictor, NetworkFeatures
from archwright.evaluators.rank_statistics import kendall
from archwright.evaluators.supernet.plan import count
from archwright.evaluators.supernet.released.predictor import (
    ofa_point,
    ofa_space,
    plan_of_ofa_point,
)


@pytest.fixture(scope="module")
def table(shared):
    path = shared / "data" / "ofa_mbv3_imagenet.csv"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the shared data")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def points(table):
    keys = ("ks", "e", "d")
    return [ofa_point({k: [int(v) for v in row[k].split()] for k in keys}) for row in table]


def test_points_stand_for_the_rows(table, points):
    for row, point in list(zip(table, points, strict=True))[::50]:
        assert count(plan_of_ofa_point(point)) == (int(row["params"]), int(row["macs"]))


@pytest.mark.parametrize(("rows", "least"), [(100, 0.935), (300, 0.95)])
def test_some_rows_order_the_others(table, points, rows, least):
    encode = NetworkFeatures(ofa_space(), plan_of_ofa_point)
    accuracies = np.array([float(row["top1_percent"]) / 100 for row in table])
    features = encode(points)
    order = np.random.default_rng(1000).permutation(len(table))
    learned, others = order[:rows], order[rows:]
    predictor = AccuracyPredictor(encode.groups).fit(features[learned], accuracies[learned])
    found = predictor.predict(features[others])
    inside = (found.low <= accuracies[others]) & (accuracies[others] <= found.high)
    assert kendall(accuracies[others], found.mean) >= least
    assert 0.87 <= inside.mean() <= 0.995
