"""Pairings and the front: against brute force, with ties, and with a bound on accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings, hypervolume_curve
from archwright.measurement import COSTS


@pytest.fixture
def evaluated(problem, small):
    return small.evaluate(problem, problem.network_space.sample(np.random.default_rng(0), 12))


def dominates(a, b) -> bool:
    return (a <= b).all() and (a < b).any()


def brute_force(problem, evaluated):
    """Network, hardware and losses of every design that no other one dominates."""
    every = []
    for network in evaluated:
        hardware, costs = problem.costing.everywhere(network.row)
        able = problem.affordable(costs)
        losses = problem.losses(network.measured, costs)
        every += [(network.key, tuple(hardware[k]), losses[k]) for k in np.flatnonzero(able)]
    front = [d for d in every if not any(dominates(other[2], d[2]) for other in every)]
    return {(key, hardware) for key, hardware, _ in front}, np.stack([x for *_, x in front])


def test_the_front_is_that_of_all_designs(problem, pairings, evaluated):
    frontier = Frontier(problem, pairings)
    frontier.add(evaluated)
    designs, losses = brute_force(problem, evaluated)
    assert {(p.evaluated.key, tuple(p.hardware)) for p in frontier.points()} <= designs
    assert {tuple(row) for row in frontier.losses} == {tuple(row) for row in losses}
    assert frontier.hypervolume == pytest.approx(problem.score.hypervolume(losses))


def test_points_carry_their_own_costs(problem, pairings, evaluated):
    frontier = Frontier(problem, pairings)
    frontier.add(evaluated)
    points = frontier.points()
    networks = np.stack([p.evaluated.row for p in points])
    costs = problem.costing.zip(networks, np.stack([p.hardware for p in points]))
    for metric in COSTS:
        assert [p.costs[metric] for p in points] == costs[metric].tolist()
    accuracies = [p.evaluated.accuracy for p in points]
    assert accuracies == sorted(accuracies, reverse=True)


def test_one_by_one_or_all_at_once(problem, pairings, evaluated):
    together, apart = Frontier(problem, pairings), Frontier(problem, pairings)
    together.add(evaluated)
    for network in evaluated:
        apart.add([network])
    assert np.array_equal(together.losses, apart.losses)
    curve = hypervolume_curve(problem, pairings, evaluated)
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(together.hypervolume)


def test_of_equals_the_first_stays(small):
    problem = small.make_problem(("accuracy",))
    pairings = Pairings(problem)
    rows = problem.network_space.sample(np.random.default_rng(0), 5)
    equal = small.evaluate(problem, rows, accuracy=lambda network: 0.75)
    frontier = Frontier(problem, pairings)
    for network in equal:
        frontier.add([network])
    assert [p.evaluated.key for p in frontier.points()] == [equal[0].key]


def test_a_bound_on_accuracy(small):
    bounds = {"accuracy": {"at_least": 0.6, "at_most": 0.9}}
    problem = small.make_problem(constraints=bounds)
    rows = problem.network_space.sample(np.random.default_rng(0), 3)
    accuracy = iter([0.95, 0.6, 0.59])
    evaluated = small.evaluate(problem, rows, accuracy=lambda network: next(accuracy))
    frontier = Frontier(problem, Pairings(problem))
    frontier.add(evaluated)
    assert {p.evaluated.key for p in frontier.points()} == {evaluated[1].key}


def test_a_bound_that_nothing_meets(small):
    problem = small.make_problem(constraints={"accuracy": {"at_least": 1.0}})
    frontier = Frontier(problem, Pairings(problem))
    rows = problem.network_space.sample(np.random.default_rng(0), 3)
    frontier.add(small.evaluate(problem, rows, accuracy=lambda network: 0.5))
    assert frontier.points() == []
    assert frontier.losses.shape == (0, 3)
    assert frontier.hypervolume == 0.0


def test_pairs_are_within_the_bounds_and_none_dominates_another(small):
    bounds = {"latency_ms": {"at_most": 0.03}, "area_mm2": {"at_least": 0.1}}
    problem = small.make_problem(constraints=bounds)
    pairings = Pairings(problem)
    for row in problem.network_space.sample(np.random.default_rng(1), 10):
        pairing = pairings.of(row)
        assert (pairing.costs["latency_ms"] <= 0.03).all()
        assert (pairing.costs["area_mm2"] >= 0.1).all()
        objectives = np.stack([pairing.costs[m] for m in problem.cost_objectives], axis=-1)
        assert not any(dominates(a, b) for a in objectives for b in objectives)


def test_with_accuracy_alone_the_least_energy_stands_for_all(small):
    problem = small.make_problem(("accuracy",))
    row = problem.network_space.sample(np.random.default_rng(1), 1)[0]
    pairing = Pairings(problem).of(row)
    _, costs = problem.costing.everywhere(row)
    assert pairing.costs["energy_uj"].tolist() == [np.min(costs["energy_uj"])]
