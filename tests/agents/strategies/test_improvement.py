"""The expected hypervolume gain: against exact hypervolumes, chance, and its own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from archwright.agents.strategies.improvement import Bets, best_losses, expected_gain
from archwright.front import Bound, Score, non_dominated

RNG = np.random.default_rng(3)
LEVELS = (np.stack(np.meshgrid(np.arange(48), np.arange(48)), -1).reshape(-1, 2) + 0.5) / 48
"""An even grid of costs: the mean over it is an integral to 1/48."""
SCORE = Score(tuple(Bound(metric, 0.0, 1.0, log=False, maximise=False) for metric in "abc"))

shares = some.floats(0.0, 1.0)


def reach_of(costs: np.ndarray) -> np.ndarray:
    """Which levels some of the ``costs``, shape (hardware, 2), are within."""
    return (costs[:, None] <= LEVELS).all(-1).any(0).astype(np.float32)


def test_a_certain_gain_is_the_hypervolume_that_is_added():
    front = RNG.random((12, 3))
    front = front[non_dominated(front)]
    best = best_losses(front[:, 1:], front[:, 0], LEVELS)
    hardware = [RNG.random((4, 2)) for _ in range(6)]
    losses = RNG.random(6)
    bets = Bets(np.stack([reach_of(costs) for costs in hardware]), losses, np.zeros(6))
    before = SCORE.hypervolume(front)
    exact = [
        SCORE.hypervolume(np.concatenate([front, np.c_[np.full(4, loss), costs]])) - before
        for loss, costs in zip(losses, hardware, strict=True)
    ]
    assert np.max(exact) > 0.02
    assert expected_gain(bets, best) == pytest.approx(exact, abs=0.01)


def test_an_uncertain_gain_is_the_mean_over_what_may_come():
    best = np.where(LEVELS[:, 0] < 0.5, 1.0, 0.3)
    reach = reach_of(np.array([[0.1, 0.2]]))[None]
    draws = RNG.normal(0.4, 0.2, 40_000)
    mean = np.mean(
        [(np.maximum(b - draws, 0.0)).mean() * s for b, s in zip(best, reach[0], strict=True)]
    )
    bets = Bets(reach, np.array([0.4]), np.array([0.2]))
    assert expected_gain(bets, best) == pytest.approx([mean], rel=0.02)


def test_what_breaks_the_bound_on_accuracy_gains_nothing():
    reach, best = np.ones((3, len(LEVELS)), np.float32), np.ones(len(LEVELS))
    sure = Bets(reach, np.array([0.1, 0.29, 0.31]), np.zeros(3), limit=0.3)
    assert expected_gain(sure, best) == pytest.approx([0.9, 0.71, 0.0])
    unsure = Bets(reach, np.array([0.1, 0.3, 0.5]), np.full(3, 0.1), limit=0.3)
    draws = RNG.normal(0.3, 0.1, 100_000)
    expected = np.where(draws <= 0.3, 1 - draws, 0.0).mean()
    assert expected_gain(unsure, best)[1] == pytest.approx(expected, rel=0.02)


@given(arrays(float, 8, elements=shares), shares, some.floats(1e-6, 1.0), shares)
def test_gains_shrink_while_the_front_grows(best, mean, deviation, other):
    bets = Bets(np.ones((1, 8), np.float32), np.array([mean]), np.array([deviation]))
    gain = expected_gain(bets, best)
    assert gain >= -1e-9
    assert expected_gain(bets, np.minimum(best, other)) <= gain + 1e-6


def test_many_different_losses_are_told_apart_well_enough():
    best = RNG.random(1000)
    bets = Bets(np.ones((1, 1000), np.float32), np.array([0.4]), np.array([0.05]))
    exact = np.mean([expected_gain(bets, np.array([b] * 1000))[0] for b in best[:200]])
    assert expected_gain(bets, np.repeat(best[:200], 5))[0] == pytest.approx(exact, rel=0.01)
