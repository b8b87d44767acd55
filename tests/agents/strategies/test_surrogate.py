"""The surrogate strategy: better than random search, and right where it is easy to check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings, hypervolume_curve
from archwright.agents.problem import History, PastNetworks, Problem
from archwright.agents.strategies import make_strategy
from archwright.agents.strategies.common import network_keys
from archwright.agents.strategies.learned import Learned, Prediction
from archwright.agents.strategies.surrogate import LONGEST_OPENING, Surrogate
from archwright.front import non_dominated


def search(name: str, problem: Problem, pairings: Pairings, small: Any, seed: int) -> list[float]:
    """The hypervolume after each of 48 evaluations, in rounds of 8."""
    told = History()
    for step in range(6):
        strategy = make_strategy(name, problem, pairings, (seed, step, 0))
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


def test_where_every_network_is_known_the_batch_is_the_greedy_one(small):
    """With a certain prediction: each network adds most to the hypervolume after the others."""
    problem = small.make_problem(networks=small.smallest(width_3=4, width_2=4, kernel_2=2))
    pairings = Pairings(problem)
    networks = problem.network_space.enumerate()
    known = small.evaluate(problem, networks[::4])
    strategy: Any = make_strategy("surrogate", problem, pairings, (4, 4), exploration=0.0)
    strategy.tell(small.history_of(known))
    batch = strategy.ask(3)

    seed = int(np.random.default_rng((4, 4)).integers(2**31))
    learned = Learned(problem, pairings.catalogue, known, seed=seed)
    frontier = Frontier(problem, pairings)
    frontier.add(known)
    losses, tried = frontier.losses, {e.key for e in known}
    keys = network_keys(problem.network_space, networks)
    left = [row for row, key in zip(networks, keys, strict=True) if key not in tried]
    bound = problem.score.bounds[0]
    for suggestion in batch:
        joined = []
        for row in left:
            loss = learned.predict(row[None])["accuracy"].mean[0]
            pairing = pairings.of(row)
            own = problem.losses({"accuracy": bound.value(loss)}, pairing.costs)
            joined.append(np.concatenate([losses, own]))
        gains = np.array([problem.score.hypervolume(j) for j in joined])
        gains -= problem.score.hypervolume(losses)
        chosen = next(k for k, row in enumerate(left) if (row == suggestion.network).all())
        # Hypervolumes are compared at 1,024 levels of the costs.
        assert gains[chosen] >= gains.max() - 0.003
        losses = joined[chosen][non_dominated(joined[chosen])]
        del left[chosen]


@pytest.fixture(scope="module")
def known_of(problem, pairings) -> Any:
    """What a metric's model learns from some networks and expects of others."""

    def learn(told: Any, rows: Any) -> Prediction:
        return Learned(problem, pairings.catalogue, told).predict(rows)["accuracy"]

    return learn


def test_what_is_learned_orders_networks_it_has_not_seen(problem, small, known_of):
    space = problem.network_space
    told = small.evaluate(problem, space.sample(np.random.default_rng(1), 60))
    unseen = small.evaluate(problem, space.sample(np.random.default_rng(2), 200))
    predicted = known_of(told, np.stack([e.row for e in unseen]))
    real = np.array([e.accuracy for e in unseen])
    order = np.sign(np.subtract.outer(-predicted.mean, -predicted.mean))
    order *= np.sign(np.subtract.outer(real, real))
    assert order.sum() / np.abs(order).sum() > 0.7  # Kendall's tau
    assert (predicted.deviation > 0).all()


def test_noise_is_not_taken_for_ignorance(problem, small, known_of):
    """At a network measured again and again, what is expected is known well."""
    space = problem.network_space
    rows = np.repeat(space.sample(np.random.default_rng(1), 5), 16, axis=0)
    noise = iter(np.random.default_rng(2).normal(0.0, 0.03, len(rows)))
    told = small.evaluate(problem, rows, accuracy=lambda network: 0.7 + next(noise))
    known = known_of(told, rows[::16])
    bound = problem.score.bounds[0]
    assert (known.deviation < 0.03).all()
    assert np.allclose([bound.value(loss) for loss in known.mean], 0.7, atol=0.03)


def past_of(problem: Problem, small: Any, seed: int, n: int = 80) -> PastNetworks:
    """A past run that measured the same function on ``n`` networks."""
    rows = problem.network_space.sample(np.random.default_rng(seed), n)
    return PastNetworks("past", rows, np.array([e.accuracy for e in small.evaluate(problem, rows)]))


def test_a_past_run_helps_and_one_that_misleads_is_retired(problem, pairings, small):
    space, rng = problem.network_space, np.random.default_rng(9)
    unseen = small.evaluate(problem, space.sample(rng, 150))
    rows, real = np.stack([e.row for e in unseen]), np.array([1 - e.accuracy for e in unseen])

    def off(told: Any, past: PastNetworks | None) -> tuple[float, tuple[str, ...]]:
        learned = Learned(problem, pairings.catalogue, told, () if past is None else (past,))
        loss = learned.predict(rows)["accuracy"].mean
        return float(np.abs(loss * 0.9 - real).mean()), learned.retired

    alone, helped = [], []
    for seed in range(3):
        told = small.evaluate(problem, space.sample(rng, 10))
        good = past_of(problem, small, seed)
        upside_down = replace(good, accuracies=1 - good.accuracies)
        without, (error, retired) = off(told, None), off(told, good)
        alone.append(without[0])
        helped.append(error)
        assert retired == ()
        misled, [reason] = off(told, upside_down)
        assert misled == without[0]
        assert reason.startswith("retired what run past measured: its accuracies order the 10")
    assert sum(helped) < 0.9 * sum(alone)


def test_wrong_rows_of_a_past_run_do_no_harm(problem, pairings, small):
    """Three of ten accuracies are falsified: they are taken for outliers, the rest still helps."""
    space = problem.network_space
    rows = space.sample(np.random.default_rng(4), 100)
    real = np.array([1 - e.accuracy for e in small.evaluate(problem, rows)])
    errors = []
    for seed in range(3):
        rng, good = np.random.default_rng(seed), past_of(problem, small, seed + 5)
        wrong = rng.random(len(good.rows)) < 0.3
        poisoned = replace(
            good, accuracies=np.where(wrong, rng.random(len(wrong)), good.accuracies)
        )
        told = small.evaluate(problem, space.sample(rng, 12))
        for past in ((), (poisoned,)):
            learned = Learned(problem, pairings.catalogue, told, past)
            assert learned.retired == ()
            loss = learned.predict(rows)["accuracy"].mean
            errors.append(np.abs(loss * 0.9 - real).mean())
    assert sum(errors[1::2]) < 1.02 * sum(errors[::2])


def test_the_opening_begins_where_a_past_run_expects_the_front(problem, pairings, small):
    past = past_of(problem, small, 13, 150)
    plain, told = (
        make_strategy("surrogate", problem, pairings, (3, 0), past=p) for p in ((), (past,))
    )
    gained = []
    for strategy in (plain, told):
        strategy.tell(History())
        batch = small.evaluate(problem, [s.network for s in strategy.ask(8)])
        gained.append(hypervolume_curve(problem, pairings, batch)[-1])
    assert gained[1] > gained[0]


@pytest.mark.parametrize(
    ("networks", "better", "opens"),
    [(3, 3, True), (4, 4, False), (10, 3, True), (10, 4, False), (LONGEST_OPENING, 0, False)],
)
def test_networks_at_the_worst_teach_nothing(problem, pairings, small, networks, better, opens):
    """It opens until four are better than the worst that counts, but not for ever."""
    rows = problem.network_space.sample(np.random.default_rng(2), networks)
    evaluated = [
        *small.evaluate(problem, rows[:better], accuracy=lambda network: 0.5),
        *small.evaluate(problem, rows[better:], accuracy=lambda network: 0.1),  # chance
    ]
    strategy = Surrogate(problem, pairings, np.random.default_rng(0))
    strategy.tell(small.history_of(evaluated))
    [first] = strategy.ask(1)
    assert first.reason.startswith("opens the search") == opens
