"""The surrogate strategy: better than random search, and right where it is easy to check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings, hypervolume_curve
from archwright.agents.problem import History, Problem
from archwright.agents.strategies import make_strategy
from archwright.agents.strategies.accuracy_model import AccuracyModel
from archwright.front import non_dominated


def search(name: str, problem: Problem, pairings: Pairings, small: Any, seed: int) -> list[float]:
    """The hypervolume after each of 48 evaluations, in rounds of 8."""
    told = History()
    for step in range(6):
        opening = name == "surrogate" and step == 0
        strategy = make_strategy("spread" if opening else name, problem, pairings, (seed, step, 0))
        strategy.tell(told)
        batch = strategy.ask(8)
        fresh = small.evaluate(problem, [s.network for s in batch], step)
        told = small.history_of((*told.evaluated, *fresh))
    return hypervolume_curve(problem, pairings, told.evaluated)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_it_beats_random_search(problem, pairings, small, seed):
    surrogate = search("surrogate", problem, pairings, small, seed)
    uniform = search("random", problem, pairings, small, seed)
    assert len(surrogate) == len(uniform) == 48
    assert surrogate == sorted(surrogate)
    # With half the evaluations it is ahead already, and at the end clearly so.
    assert surrogate[23] > uniform[-1]
    assert 1 - surrogate[-1] < 0.75 * (1 - uniform[-1])


@pytest.mark.slow
def test_it_beats_random_search_where_accuracy_is_bounded(small):
    """Least energy at an accuracy of 95%: the bound has to be learned."""
    problem = small.make_problem(("energy_uj",), constraints={"accuracy": {"at_least": 0.95}})
    pairings = Pairings(problem)
    for seed in range(3):
        surrogate = search("surrogate", problem, pairings, small, seed)
        assert surrogate[-1] > search("random", problem, pairings, small, seed)[-1] > 0


def test_before_anything_meets_the_bound_it_heads_for_it(small):
    problem = small.make_problem(constraints={"accuracy": {"at_least": 0.995}})
    pairings = Pairings(problem)
    rows = problem.network_space.sample(np.random.default_rng(3), 200)
    fifty = [e for e in small.evaluate(problem, rows) if e.accuracy < 0.9][:30]
    frontier = Frontier(problem, pairings)
    frontier.add(fifty)
    assert len(frontier.points()) == 0
    strategy = make_strategy("surrogate", problem, pairings, (0, 1))
    strategy.tell(small.history_of(fifty))
    batch = small.evaluate(problem, [s.network for s in strategy.ask(4)])
    assert min(e.accuracy for e in batch) > max(e.accuracy for e in fifty)


def test_a_batch_is_the_greedy_one(problem, pairings, small):
    """The lazy queue must choose what computing every gain again would choose."""
    rows = problem.network_space.sample(np.random.default_rng(11), 30)
    strategy: Any = make_strategy("surrogate", problem, pairings, (4, 4), exploration=0.0)
    strategy.tell(small.history_of(small.evaluate(problem, rows)))
    model = AccuracyModel(problem)
    model.fit(small.evaluate(problem, rows))
    frontier = Frontier(problem, pairings)
    frontier.add(small.evaluate(problem, rows))
    candidates = problem.network_space.sample(np.random.default_rng(12), 40)
    panel = problem.hardware_space.enumerate()
    predicted = model.predict(candidates)
    chosen = strategy._choose(candidates, panel, predicted, frontier, 5)

    losses, expected = frontier.losses, []
    left = list(range(len(candidates)))
    for _ in range(5):
        joined = {}
        for c in left:
            pairing = pairings.of(candidates[c])
            own = problem.losses({"accuracy": predicted.accuracy()[c]}, pairing.costs)
            joined[c] = np.concatenate([losses, own])
        best = max(left, key=lambda c: problem.score.hypervolume(joined[c]))
        left.remove(best)
        expected.append(candidates[best].tolist())
        losses = joined[best][non_dominated(joined[best])]
    assert [s.network.tolist() for s in chosen] == expected


def test_the_model_ranks_networks_it_has_not_seen(problem, small):
    space = problem.network_space
    model = AccuracyModel(problem)
    model.fit(small.evaluate(problem, space.sample(np.random.default_rng(1), 60)))
    unseen = small.evaluate(problem, space.sample(np.random.default_rng(2), 200))
    prediction = model.predict(np.stack([e.row for e in unseen]))
    predicted, real = prediction.accuracy(), np.array([e.accuracy for e in unseen])
    order = np.sign(np.subtract.outer(predicted, predicted) * np.subtract.outer(real, real))
    assert order.sum() / np.abs(order).sum() > 0.7  # Kendall's tau
    assert (prediction.accuracy(1.0) >= predicted).all()
    assert (prediction.deviation > 0).all()


def test_noise_is_not_taken_for_ignorance(problem, small):
    """At a network measured again and again, what is expected is known well."""
    space = problem.network_space
    rows = np.repeat(space.sample(np.random.default_rng(1), 5), 16, axis=0)
    noise = iter(np.random.default_rng(2).normal(0.0, 0.03, len(rows)))
    model = AccuracyModel(problem)
    noisy = small.evaluate(problem, rows, accuracy=lambda network: 0.7 + next(noise))
    model.fit(noisy)
    known = model.predict(rows[::16])
    assert (known.deviation < np.log(1 - np.array([e.accuracy for e in noisy])).std() / 2).all()
    assert np.allclose(known.accuracy(), 0.7, atol=0.03)
