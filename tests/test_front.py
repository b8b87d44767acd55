"""The front and its hypervolume: laws, and pymoo and brute force beside it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from archwright.front import Bound, Score, bounds_from_sample, non_dominated

MINIMISED = ("latency_ms", "energy_uj", "area_mm2")
UNIT = st.floats(0, 1, width=16)
GRID = st.integers(0, 4).map(lambda i: i / 4)


def score_of(objectives: int) -> Score:
    return Score(tuple(Bound(metric, 1.0, 10.0, log=True) for metric in MINIMISED[:objectives]))


def losses(elements: st.SearchStrategy[float], most: int = 8) -> st.SearchStrategy[np.ndarray]:
    shape = st.tuples(st.integers(0, most), st.integers(1, 3))
    return shape.flatmap(lambda s: arrays(np.float64, s, elements=elements))


def by_inclusion_and_exclusion(rows: np.ndarray) -> float:
    """The volume of a union of boxes from each row to the corner of ones."""
    total = 0.0
    for size in range(1, len(rows) + 1):
        for subset in itertools.combinations(rows, size):
            total -= (-1) ** size * np.prod(1 - np.max(subset, axis=0))
    return float(total)


@given(losses(UNIT, most=5))
def test_the_hypervolume_is_the_volume_of_the_union(rows: np.ndarray) -> None:
    found = score_of(rows.shape[1]).hypervolume(rows)
    assert found == pytest.approx(by_inclusion_and_exclusion(rows), abs=1e-9)


@given(losses(UNIT))
@settings(max_examples=40)
def test_the_hypervolume_is_pymoo_s(rows: np.ndarray) -> None:
    from pymoo.indicators.hv import HV

    expected = float(HV(ref_point=np.ones(rows.shape[1]))(rows)) if len(rows) else 0.0
    assert score_of(rows.shape[1]).hypervolume(rows) == pytest.approx(expected, abs=1e-9)


@given(losses(UNIT), st.randoms(use_true_random=False))
def test_more_designs_never_lower_it_and_their_order_does_not_matter(rows, random) -> None:
    score = score_of(rows.shape[1])
    whole = score.hypervolume(rows)
    assert 0.0 <= whole <= 1.0
    order = list(range(len(rows)))
    random.shuffle(order)
    assert score.hypervolume(rows[order]) == pytest.approx(whole, abs=1e-12)
    for n in range(len(rows)):
        assert score.hypervolume(rows[:n]) <= whole + 1e-12
    assert score.hypervolume(rows[non_dominated(rows)]) == pytest.approx(whole, abs=1e-12)


def test_the_edges_of_the_unit_cube() -> None:
    score = score_of(2)
    assert score.hypervolume(np.zeros((0, 2))) == 0.0
    assert score.hypervolume(np.zeros((1, 2))) == 1.0
    assert score.hypervolume(np.array([[-0.5, -3.0]])) == 1.0, "better than the bounds counts as 1"
    assert score.hypervolume(np.array([[0.0, 1.0], [1.5, 0.0]])) == 0.0, "on or past the worst"
    assert score.hypervolume(np.array([[np.inf, 0.2], [0.5, 0.5]])) == pytest.approx(0.25)
    assert score.hypervolume(np.array([[np.nan, 0.2], [-np.inf, 0.5]])) == pytest.approx(0.5)
    assert score_of(1).hypervolume(np.array([[0.25], [0.5]])) == pytest.approx(0.75)


@given(losses(GRID))
def test_the_front_keeps_the_first_of_equals_and_nothing_dominated(rows: np.ndarray) -> None:
    kept = non_dominated(rows)
    expected = [
        not any(
            (np.all(other <= row) and np.any(other < row)) or (np.all(other == row) and j < i)
            for j, other in enumerate(rows)
        )
        for i, row in enumerate(rows)
    ]
    assert kept.tolist() == expected


def test_an_infinite_loss_does_not_hide_another_design() -> None:
    assert non_dominated(np.array([[np.inf, 0.1], [0.5, 0.5], [np.inf, 0.6]])).tolist() == [
        True,
        True,
        False,
    ]
    assert non_dominated(np.zeros((0, 3))).tolist() == []


COST = Bound("latency_ms", 0.1, 10.0, log=True)
SHARE = Bound("accuracy", 0.1, 1.0, log=False)


def test_bounds_become_nought_and_one() -> None:
    assert COST.normalise(np.array([0.1, 1.0, 10.0])) == pytest.approx([0.0, 0.5, 1.0])
    assert SHARE.normalise(np.array([1.0, 0.55, 0.1])) == pytest.approx([0.0, 0.5, 1.0])
    beyond = COST.normalise(np.array([0.01, 100.0, np.inf, 0.0]))
    assert beyond == pytest.approx([-0.5, 1.5, np.inf, -np.inf])
    assert SHARE.normalise(np.array([0.0]))[0] > 1.0


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=10, unique=True))
def test_losses_keep_the_order_of_values(values: list[float]) -> None:
    order = np.argsort(np.log10(values), kind="stable")
    assert (np.diff(COST.normalise(np.array(values))[order]) >= 0).all()


def test_a_cost_that_is_always_the_same_changes_no_score() -> None:
    """One fixed hardware has one area: the share is that of the other objectives."""
    fixed = Bound("area_mm2", 2.0, 2.0, log=True)
    score, other = Score((SHARE, fixed)), Score((SHARE,))
    values = {"accuracy": np.array([0.6, 0.9]), "area_mm2": np.array([2.0, 2.0])}
    assert score.losses(values)[:, 1].tolist() == [0.0, 0.0]
    assert score.hypervolume(score.losses(values)) == pytest.approx(
        other.hypervolume(other.losses(values))
    )


def test_losses_stand_in_the_order_of_the_objectives() -> None:
    score = Score((COST, SHARE))
    assert score.metrics == ("latency_ms", "accuracy")
    stacked = score.losses({"accuracy": np.array([1.0, 0.1]), "latency_ms": np.array([1.0, 0.1])})
    assert stacked == pytest.approx(np.array([[0.5, 0.0], [0.0, 1.0]]))


def test_bounds_of_a_run_leave_out_what_cannot_run() -> None:
    sample = {"latency_ms": np.array([np.inf, 2.0, 0.5, np.nan, 0.0])}
    accuracy, latency = bounds_from_sample(["accuracy", "latency_ms"], 10, sample)
    assert (accuracy.low, accuracy.high, accuracy.log) == (0.1, 1.0, False)
    assert (latency.low, latency.high, latency.log) == (0.5, 2.0, True)
