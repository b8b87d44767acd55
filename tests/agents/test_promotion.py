"""Rungs, who enters them and who goes on: laws of successive halving."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from archwright.agents.promotion import FINALISTS, entrants, rungs, survivors
from archwright.front import Bound, Score, non_dominated, shares_lost

SCORE = Score((Bound("accuracy", 0.1, 1.0, log=False), Bound("latency_ms", 0.01, 10.0, log=True)))
SHARES = st.floats(0.0, 1.0, width=16)
LOSSES = st.integers(1, 12).flatmap(lambda n: arrays(np.float64, (n, 2), elements=SHARES))
DESIGNS = st.integers(1, 12)


@given(st.integers(0, 64), st.integers(1, 1000))
def test_each_rung_has_half_the_designs_and_twice_the_epochs(designs: int, epochs: int) -> None:
    ladder = rungs(designs, epochs)
    assert [rung.designs for rung in ladder[:1]] == ([designs] if designs else [])
    for before, after in pairwise(ladder):
        assert after.designs == math.ceil(before.designs / 2)
        assert after.epochs[:-1] == before.epochs  # it goes on where the rung before ended
        assert before.epochs[-1] == max(1, after.epochs[-1] // 2)
    if ladder:
        assert ladder[-1].epochs[-1] == epochs
        assert 1 <= ladder[-1].designs <= FINALISTS
        assert len(ladder[-1].epochs) == len(ladder)


def test_the_default_ladder() -> None:
    assert [(rung.designs, rung.epochs) for rung in rungs(4, 8)] == [(4, (4,)), (2, (4, 8))]


@given(LOSSES, DESIGNS, st.data())
def test_entrants_have_networks_of_their_own_and_the_best_compromise_is_first(
    losses: np.ndarray, designs: int, data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from("abcd"), min_size=len(losses), max_size=len(losses)))
    entered = entrants(losses, names, designs, SCORE)
    assert len(entered) == min(designs, len(set(names)))
    assert len({names[k] for k in entered}) == len(entered)
    distances = (shares_lost(losses, losses) ** 2).sum(axis=1)
    assert distances[entered[0]] == distances.min()
    for k in entered:  # each on the hardware that suits its network best
        own = [distances[j] for j in range(len(losses)) if names[j] == names[k]]
        assert distances[k] == min(own)


@given(LOSSES, st.integers(1, 11))
def test_fewer_entrants_are_the_first_of_more(losses: np.ndarray, designs: int) -> None:
    names = [str(k) for k in range(len(losses))]
    more = entrants(losses, names, designs + 1, SCORE)
    assert entrants(losses, names, designs, SCORE) == more[:designs]


def test_no_front_has_no_entrants() -> None:
    assert entrants(np.zeros((0, 2)), [], 4, SCORE) == []


@settings(max_examples=60)
@given(LOSSES, DESIGNS, st.data())
def test_survivors(losses: np.ndarray, designs: int, data: st.DataObject) -> None:
    within = data.draw(arrays(np.bool_, len(losses)))
    kept = survivors(losses, within, designs, SCORE)
    assert len(kept) == min(designs, len(losses))
    assert kept == sorted(set(kept))
    if within.sum() >= len(kept):  # none that breaks a bound, while others are there
        assert within[kept].all()
    else:
        assert set(np.flatnonzero(within)) <= set(kept)


@settings(max_examples=60)
@given(LOSSES, DESIGNS)
def test_nothing_dominated_survives_one_that_dominates_it(losses: np.ndarray, designs: int) -> None:
    kept = survivors(losses, np.ones(len(losses), dtype=bool), designs, SCORE)
    gone = set(range(len(losses))) - set(kept)
    for winner in kept:
        for loser in gone:
            inside = (losses[loser] < 1).all()
            assert not (inside and (losses[loser] < losses[winner] - 1e-3).all())
    if designs >= non_dominated(losses).sum():
        everything = SCORE.hypervolume(losses)
        assert math.isclose(SCORE.hypervolume(losses[kept]), everything, abs_tol=1e-9)


def test_at_equal_cost_the_more_accurate_goes_on_and_of_equals_the_first() -> None:
    losses = np.array([[0.4, 0.5], [0.2, 0.5], [0.2, 0.5], [0.3, 0.5]])
    assert survivors(losses, np.ones(4, dtype=bool), 1, SCORE) == [1]
    assert survivors(losses, np.ones(4, dtype=bool), 2, SCORE) == [1, 2]
