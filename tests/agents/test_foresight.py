"""Estimates and suggestions from what was measured: calibrated, repeatable, and for nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from archwright.agents.foresight import estimate, suggest
from archwright.agents.frontier import Pairings
from archwright.agents.problem import Evaluated, Problem
from archwright.errors import SpaceError, UserError


@pytest.fixture(scope="module")
def measured(problem: Problem, small: SimpleNamespace) -> tuple[Evaluated, ...]:
    """Forty networks drawn at random."""
    rows = problem.network_space.sample(np.random.default_rng(11), 40)
    return tuple(small.evaluate(problem, rows))


def test_estimates_order_unseen_networks_and_their_intervals_hold(
    problem: Problem,
    pairings: Pairings,
    small: SimpleNamespace,
    measured: tuple[Evaluated, ...],
) -> None:
    from scipy.stats import spearmanr

    rows = problem.network_space.sample(np.random.default_rng(12), 60)
    networks = problem.networks(rows)
    truth = np.array([small.accuracy(network) for network in networks])
    found = estimate(problem, pairings, measured, networks)
    said = found.estimates
    assert found.learned_from == 40
    assert spearmanr([e.accuracy for e in said], truth).statistic > 0.85
    held = [e.low <= true <= e.high for e, true in zip(said, truth, strict=True)]
    assert np.mean(held) > 0.85
    assert np.median([e.high - e.low for e in said]) < 0.4, "an interval that says something"


def test_what_was_measured_stands_beside_its_estimate(
    problem: Problem, pairings: Pairings, measured: tuple[Evaluated, ...]
) -> None:
    rows = np.stack(
        [measured[0].row, problem.network_space.sample(np.random.default_rng(99), 1)[0]]
    )
    first, other = estimate(problem, pairings, measured, problem.networks(rows)).estimates
    assert first.measured == measured[0].accuracy
    assert other.measured is None


def test_the_same_again_until_more_is_measured(
    problem: Problem, pairings: Pairings, measured: tuple[Evaluated, ...]
) -> None:
    networks = problem.networks(problem.network_space.sample(np.random.default_rng(1), 3))
    once = estimate(problem, pairings, measured[:20], networks)
    assert estimate(problem, Pairings(problem), measured[:20], networks) == once
    assert estimate(problem, pairings, measured, networks) != once


def test_too_few_measurements_are_one_clear_line(
    problem: Problem, pairings: Pairings, measured: tuple[Evaluated, ...]
) -> None:
    networks = problem.networks(measured[0].row[None])
    with pytest.raises(UserError, match=r"^3 networks of the run are measured so far; .* needs 4$"):
        estimate(problem, pairings, measured[:3], networks)
    assert len(estimate(problem, pairings, measured[:4], networks).estimates) == 1


def test_a_network_outside_the_space_is_named(
    problem: Problem, pairings: Pairings, measured: tuple[Evaluated, ...]
) -> None:
    network = problem.networks(measured[0].row[None])[0]
    with pytest.raises(SpaceError, match=r"^networks\.1\.bits = 7: allowed \[8, 16\]"):
        estimate(problem, pairings, measured, [network, {**network, "bits": 7}])


def test_suggestions_are_new_and_repeatable(
    problem: Problem,
    pairings: Pairings,
    small: SimpleNamespace,
    measured: tuple[Evaluated, ...],
    little_evolution: None,
) -> None:
    history = small.history_of(measured)
    suggested = suggest(problem, pairings, history, 3, 4)
    assert suggest(problem, pairings, history, 3, 4) == suggested
    keys = [design.network_key for design in suggested]
    assert len(set(keys) - history.tried) == 4
