import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from archwright.errors import DataError
from archwright.evaluators.rank_statistics import kendall, rank_agreement

lists = st.integers(3, 12).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(-4, 4), min_size=n, max_size=n) for _ in range(2)))
)


def test_the_values_are_scipys():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 9, 30).astype(float)
    predicted = truth + rng.integers(0, 6, 30)
    agreement = rank_agreement(truth, predicted)
    assert agreement.kendall == pytest.approx(stats.kendalltau(truth, predicted).statistic)
    assert agreement.spearman == pytest.approx(stats.spearmanr(truth, predicted).statistic)
    assert agreement.networks == 30


def test_one_pair_of_three_turned_round_gives_a_third():
    assert rank_agreement([1, 2, 3], [1, 3, 2]).kendall == pytest.approx(1 / 3)


@given(lists)
@settings(deadline=None, max_examples=60)
def test_resamples_that_draw_each_network_once_have_the_whole_lists_tau(pair):
    from archwright.evaluators.rank_statistics import _kendall_of_samples

    first, second = (np.array(values, float) for values in pair)
    once = np.arange(len(first))[None]
    repeated = np.repeat(once, 2, axis=1)  # every pair four times, the copies' ties apart
    expected = kendall(first, second)
    for samples in (once, repeated):
        found = float(_kendall_of_samples(first, second, samples)[0])
        assert found == pytest.approx(expected, nan_ok=True)


def test_equal_orders_agree_fully_in_every_resample():
    truth = np.arange(10.0)
    agreement = rank_agreement(truth, np.exp(truth))
    assert agreement.kendall == pytest.approx(1)
    assert agreement.kendall_low == agreement.kendall_high == pytest.approx(1)
    assert agreement.spearman_low == pytest.approx(1)


def test_the_interval_holds_the_value_and_narrows_with_more_networks():
    rng = np.random.default_rng(1)
    widths = []
    for n in (20, 320):
        truth = rng.normal(size=n)
        agreement = rank_agreement(truth, truth + rng.normal(size=n))
        assert agreement.kendall_low < agreement.kendall < agreement.kendall_high
        assert agreement.spearman_low < agreement.spearman < agreement.spearman_high
        widths.append(agreement.kendall_high - agreement.kendall_low)
    assert widths[1] < widths[0] / 2


def test_the_interval_covers_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    correlation = 0.7
    true_tau = 2 / math.pi * math.asin(correlation)  # of a bivariate normal distribution
    covered = 0
    for repetition in range(60):
        pair = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=50)
        agreement = rank_agreement(pair[:, 0], pair[:, 1], seed=repetition, draws=100)
        covered += agreement.kendall_low <= true_tau <= agreement.kendall_high
    assert covered >= 50


def test_the_seed_decides_the_interval():
    truth, predicted = [1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5]
    assert rank_agreement(truth, predicted, 3) == rank_agreement(truth, predicted, 3)


def test_a_constant_list_orders_nothing():
    agreement = rank_agreement([1, 1, 1, 1], [1, 2, 3, 4])
    assert math.isnan(agreement.kendall)
    assert math.isnan(agreement.spearman)
    assert math.isnan(agreement.kendall_low)


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([1, 2, 3], [1, 2], "one length"),
        ([[1, 2, 3]], [[1, 2, 3]], "one length"),
        ([1, 2], [1, 2], "at least 3"),
        ([1, 2, float("nan")], [1, 2, 3], "finite"),
    ],
)
def test_bad_lists_are_refused(truth, predicted, message):
    with pytest.raises(DataError, match=message):
        rank_agreement(truth, predicted)
