"""The model's share of a batch: a bandit over what its designs gained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.frontier import Frontier
from archwright.agents.hybrid.notebook import Advice
from archwright.agents.hybrid.share import (
    FIRST,
    LEAST,
    MOST,
    PROBE_EVERY,
    allowance,
    next_share,
    probes,
    worth,
)

worths = st.none() | st.floats(0.0, 1.0)
shares = st.floats(0.0, MOST)


def after(share: float, several: list[float | None]) -> float:
    """The share after these rounds."""
    for one in several:
        share = next_share(share, one)
    return share


@given(shares, st.lists(worths, max_size=40))
def test_the_share_stays_between_nothing_and_most(share: float, several: list[float | None]):
    assert 0.0 <= after(share, several) <= MOST


@given(st.integers(0, 40))
def test_equal_worth_keeps_the_first_share(rounds: int):
    assert after(FIRST, [0.5] * rounds) == pytest.approx(FIRST)


@given(shares)
def test_three_worthless_rounds_leave_less_than_a_tenth(share: float):
    assert after(share, [0.0] * 3) < 0.1 + 1e-9


@given(shares, st.integers(6, 40))
def test_a_worthless_model_ends_at_exactly_nothing(share: float, rounds: int):
    assert after(share, [0.0] * rounds) == 0.0


def test_only_the_models_worth_leads_to_the_most():
    assert after(FIRST, [1.0] * 30) == pytest.approx(MOST)


@given(st.floats(0.5, 1.0))
def test_a_probe_that_pays_brings_a_model_back(gained: float):
    """As much as the optimiser's, or more."""
    assert next_share(0.0, gained) >= LEAST
    assert after(0.0, [gained] * 30) >= FIRST - 1e-6


@given(shares)
def test_a_round_that_says_nothing_moves_nothing(share: float):
    assert next_share(share, None) == share


@given(shares, worths, worths)
def test_more_worth_never_gives_less(share: float, one: float | None, other: float | None):
    if one is not None and other is not None and one <= other:
        assert next_share(share, one) <= next_share(share, other)


@given(shares, st.lists(st.integers(1, 16), max_size=60))
def test_the_allowance_keeps_the_share_over_all_batches(share: float, sizes: list[int]):
    before = allowed = 0
    for n in sizes:
        mine = allowance(share, before, n)
        assert 0 <= mine <= n
        allowed, before = allowed + mine, before + n
        assert share * before - 1 < allowed <= share * before


def test_without_a_share_it_probes_every_tenth_round():
    asked, probed = 0, []
    for step in range(1, 41):
        if probes(step, asked):
            probed.append(step)
            asked = step
    assert probed == [PROBE_EVERY, 2 * PROBE_EVERY, 3 * PROBE_EVERY, 4 * PROBE_EVERY]


# What a round was worth


@pytest.fixture
def judged(problem, pairings, small):
    """``judged(own, others, **advice)``: the worth of a round of networks of these accuracies.

    The networks are those of one size; what came before is one poor network.
    """

    def build(own=(), others=(), earlier=0.3, **advice):
        rows = problem.network_space.sample(np.random.default_rng(6), len(own) + len(others) + 1)
        first = small.evaluate(problem, rows[:1], 0, lambda network: earlier)
        found = []
        for row, accuracy in zip(rows[1:], (*own, *others), strict=True):
            found += small.evaluate(problem, [row], 1, lambda network, a=accuracy: a)
        keys = tuple(e.key for e in found[: len(own)])
        told = Advice(1, 0, FIRST, keys, **advice)
        return worth(problem, pairings, [*first, *found], [told])

    return build


def test_it_is_the_models_part_of_the_gain_of_each_design(problem, pairings, small):
    """Two of its designs against one of the optimiser's: means, not sums."""
    rows = problem.network_space.sample(np.random.default_rng(6), 4)
    before = small.evaluate(problem, rows[:1], 0)
    found = small.evaluate(problem, rows[1:], 1)
    frontier = Frontier(problem, pairings)
    frontier.add(before)
    gains = [frontier.gain(e) for e in found]
    assert sum(gains) > 0
    told = Advice(1, 0, FIRST, (found[0].key, found[1].key))
    mine = (gains[0] + gains[1]) / 2
    got = worth(problem, pairings, [*before, *found], [told])
    assert got == pytest.approx(mine / (mine + gains[2]))
    refused = Advice(1, 0, FIRST, told.networks, {"tried": 2})
    mine = (gains[0] + gains[1]) / 4
    got = worth(problem, pairings, [*before, *found], [refused])
    assert got == pytest.approx(mine / (mine + gains[2]))


def test_worth_lies_between_nothing_and_all(judged):
    assert judged(own=(0.05,), others=(0.99,)) == 0.0
    assert judged(own=(0.99,), others=(0.05,)) == 1.0
    assert 0.0 < judged(own=(0.95,), others=(0.96,)) < 1.0


@pytest.mark.parametrize(
    "says_nothing",
    [
        {"own": (), "others": (0.9,)},
        {"own": (0.9,), "others": ()},
        {"own": (0.05,), "others": (0.05,)},
    ],
)
def test_a_round_of_one_side_or_without_gain_says_nothing(judged, says_nothing):
    assert judged(**says_nothing) is None


def test_designs_that_were_all_refused_are_worthless(judged):
    assert judged(others=(0.9,), refusals={"tried": 3}) == 0.0
    assert judged(others=(0.05,), refusals={"tried": 3}) == 0.0
    assert judged(refusals={"tried": 3}) == 0.0


def test_what_a_network_gains_is_against_the_rounds_before(problem, pairings, small):
    """A later round's better networks do not take its gain away."""
    rows = problem.network_space.sample(np.random.default_rng(6), 4)
    steps = [small.evaluate(problem, rows[k : k + 1], min(k, 2) if k else 0)[0] for k in range(3)]
    now = [steps[0], steps[1], *small.evaluate(problem, rows[3:], 1)]
    told = [Advice(1, 0, FIRST, (steps[1].key,))]
    later = small.evaluate(problem, rows[2:3], 2, lambda network: 1.0)
    assert worth(problem, pairings, [*now, *later], told) == worth(problem, pairings, now, told)


def test_both_attempts_of_a_step_count(problem, pairings, small):
    rows = problem.network_space.sample(np.random.default_rng(6), 4)
    before, found = small.evaluate(problem, rows[:1], 0), small.evaluate(problem, rows[1:], 1)
    both = [Advice(1, k, FIRST, (found[k].key,)) for k in range(2)]
    together = [Advice(1, 0, FIRST, (found[0].key, found[1].key))]
    known = [*before, *found]
    assert worth(problem, pairings, known, both) == worth(problem, pairings, known, together)
