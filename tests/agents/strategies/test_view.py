"""What a classic optimiser sees of evaluated networks, and how it ranks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.strategies.view import FURTHEST, View, places, view_of
from archwright.front import Bound, Score


def ranked(losses: Any, miss: Any = None) -> list[int]:
    """The places of networks of which only losses and misses are known."""
    losses = np.asarray(losses, float)
    missed = np.zeros(len(losses)) if miss is None else np.asarray(miss, float)
    return places(View((), losses, missed)).tolist()


def test_where_nothing_is_free_the_losses_are_the_objectives(small):
    problem, measure = small.make_black_box(("error", "delay", "area"))
    rows = problem.network_space.sample(np.random.default_rng(0), 7)
    evaluated = measure(rows)
    view = view_of(problem, Pairings(problem), evaluated)
    assert view.networks == evaluated
    assert (view.rows == rows).all()
    assert not view.miss.any()
    values = {m: np.array([e.measured[m] for e in evaluated]) for m in problem.score.metrics}
    assert np.allclose(view.losses, problem.score.losses(values))
    assert view.latest(3).networks == evaluated[-3:]
    assert (view.latest(3).losses == view.losses[-3:]).all()


def test_the_cost_loss_is_what_the_network_alone_would_leave_undominated(small):
    problem = small.make_problem(("accuracy", "latency_ms", "energy_uj"))
    pairings = Pairings(problem)
    evaluated = small.evaluate(problem, problem.network_space.sample(np.random.default_rng(0), 5))
    view = view_of(problem, pairings, evaluated)
    assert view.losses.shape == (5, 2)
    for network, (accuracy, cost) in zip(evaluated, view.losses, strict=True):
        # In the whole space of objectives a network's box is its accuracy times its cost front.
        frontier = Frontier(problem, pairings)
        frontier.add([network])
        assert frontier.hypervolume == pytest.approx((1 - accuracy) * (1 - cost))


def test_networks_that_no_hardware_suits_are_not_seen(small):
    free = small.make_problem(("energy_uj",))
    rows = free.network_space.sample(np.random.default_rng(0), 6)
    least = np.array([p.costs["energy_uj"].min() for p in map(Pairings(free).of, rows)])
    bound = {"energy_uj": {"at_most": float(np.sort(least)[2])}}
    problem = small.make_problem(("energy_uj",), constraints=bound)
    evaluated = small.evaluate(problem, rows)
    view = view_of(problem, Pairings(problem), evaluated)
    affordable = least <= np.sort(least)[2]
    assert view.networks == tuple(e for e, kept in zip(evaluated, affordable, strict=True) if kept)
    assert view.losses.shape == (3, 1)


def test_the_miss_is_by_how_much_a_bound_on_accuracy_is_broken(small):
    problem = small.make_problem(constraints={"accuracy": {"at_least": 0.8}})
    rows = problem.network_space.sample(np.random.default_rng(0), 3)
    accuracies = iter([0.9, 0.8, 0.6])
    evaluated = small.evaluate(problem, rows, accuracy=lambda network: next(accuracies))
    assert view_of(problem, Pairings(problem), evaluated).miss == pytest.approx([0, 0, 0.25])


def test_a_zero_that_has_no_logarithm_is_a_finite_loss(small):
    free, measure = small.make_black_box(("delay",))
    problem = replace(free, score=Score((Bound("delay", 0.01, 1.0, log=True, maximise=False),)))
    (network,) = measure(problem.network_space.enumerate()[:1])
    nothing = replace(network, measured={"delay": 0.0})
    assert view_of(problem, Pairings(problem), [nothing]).losses.tolist() == [[-FURTHEST]]


def test_nothing_evaluated_is_an_empty_view(small):
    problem = small.make_problem()
    view = view_of(problem, Pairings(problem), ())
    assert len(view) == 0
    assert view.losses.shape == (0, 2)


def test_within_the_bounds_come_first_and_then_the_least_miss():
    losses = [[0.9, 0.9], [0.1, 0.1], [0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]
    assert ranked(losses, [0.0, 0.3, 0.0, 0.2, 0.2]) == [1, 3, 0, 2, 2]


def test_one_loss_is_the_order():
    assert ranked([[0.3], [0.1], [0.7], [0.1]]) == [1, 0, 2, 0]


def test_of_one_front_the_least_crowded_come_first():
    front = [[0.0, 1.0], [0.1, 0.9], [0.15, 0.85], [0.6, 0.3], [1.0, 0.0], [1.0, 1.0]]
    # Both ends, then by the distance between the neighbours; the last is dominated.
    assert ranked(front) == [0, 3, 2, 1, 0, 4]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_first_places_are_the_survivors_of_nsga2(objectives):
    losses = np.random.default_rng(objectives).random((40, objectives))
    miss = np.where(np.arange(40) < 25, 0.0, np.random.default_rng(9).random(40))
    population = Population.new("F", losses, "G", miss[:, None])
    problem = PymooProblem(n_obj=objectives, n_ieq_constr=1)
    for n in (5, 20, 30):
        place = np.array(ranked(losses, miss))
        survivors = RankAndCrowding().do(problem, population, n_survive=n, return_indices=True)
        worst = max(place[survivors])  # of equal places chance picks some
        assert set(np.flatnonzero(place < worst)) <= set(survivors)
        assert set(survivors) <= set(np.flatnonzero(place <= worst))
