"""Fidelities against truths."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from archwright.errors import DataError
from archwright.evaluators.supernet import Recipe
from archwright.evaluators.supernet.rank import (
    CROSS_ENTROPY,
    INHERITED,
    MACS,
    PREDICTOR,
    UNCALIBRATED,
    fidelities,
    rank,
    truth_table,
    uncalibrated,
)
from archwright.evaluators.supernet.standalone import StandaloneTraining, train_truths
from archwright.evaluators.supernet.together import prepare_together, score_together


def test_a_perfect_fidelity_reaches_the_mean_truth(rng) -> None:
    truths = rng.random((12, 2))
    truths[:, 1] = truths[:, 0] + 0.1 * rng.random(12)
    mean = truths.mean(axis=1)
    ranking = rank(truths, {"noise": rng.random(12), "same": mean * 3, "opposite": -mean})
    assert [one.fidelity for one in ranking.ranked] == ["same", "noise", "opposite"]
    assert ranking.ceiling == pytest.approx(kendalltau(*truths.T).statistic)
    best, _, worst = ranking.ranked
    assert (best.agreement.kendall, worst.agreement.kendall) == pytest.approx((1, -1))
    assert best.of_ceiling == pytest.approx(1 / ranking.ceiling)
    assert (ranking.networks, ranking.seeds) == (12, 2)


def test_the_ceiling_is_the_mean_over_pairs_of_seeds() -> None:
    order = np.arange(6.0)
    ranking = rank(np.stack([order, order, -order], axis=1), {"a": order})
    assert ranking.ceiling == pytest.approx((1 - 1 - 1) / 3)
    with pytest.raises(DataError, match="at least 2 seeds"):
        rank(order[:, None], {"a": order})


def test_without_recalibration_narrow_networks_suffer(trained, rng) -> None:
    import torch

    points = trained.space.decode(trained.space.sample(rng, 6))
    calibration = torch.from_numpy(trained.data.take(trained.data.calibration())[0])
    validation = trained.data.splits.validation
    scores = score_together(
        prepare_together(trained.supernet, points, calibration, at_bits=False),
        trained.data.images[validation],
        trained.data.labels[validation],
    )
    without = uncalibrated(trained.supernet, points, trained.data)
    assert np.mean(without) < np.mean([score.accuracy for score in scores]) - 0.05
    widest = {choice.name: choice.values[-1] for choice in trained.space.choices}
    (own,) = uncalibrated(trained.supernet, [widest], trained.data)
    (score,) = score_together(
        prepare_together(trained.supernet, [widest], calibration, at_bits=False),
        trained.data.images[validation],
        trained.data.labels[validation],
    )
    assert own == score.accuracy  # the statistics are this network's own


@pytest.mark.slow
def test_all_fidelities_of_a_few_networks(trained, rng, tmp_path) -> None:
    points = trained.space.decode(trained.space.sample(rng, 4))
    recipe = Recipe(epochs=1, batch_size=32, shift=0.0, device="cpu")
    training = StandaloneTraining(trained.data, trained.space.name, recipe, tmp_path)
    truths = train_truths(points, [0, 1], training, tmp_path / "truths.csv", 0)
    table = truth_table(truths, points, [0, 1], at_bits=True)
    assert table.shape == (4, 2)
    with pytest.raises(DataError, match="4 trainings are missing"):
        truth_table(truths, points, [0, 2], at_bits=True)
    told = []
    values = fidelities(
        trained.checkpoint, trained.space, trained.data, points, workers=0, tell=told.append
    )
    assert {MACS, INHERITED, CROSS_ENTROPY, UNCALIBRATED, PREDICTOR} < values.keys()
    assert sum(name.startswith("proxy") for name in values) == 6
    assert all(len(row) == 4 and np.isfinite(row).all() for row in values.values())
    assert len(told) >= 4
    assert rank(table, values).ranked
