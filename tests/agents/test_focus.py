"""Narrow rounds: every strategy stays near the front, and none is left without a batch."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.focus import focused, narrowed, near
from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.phases import phases_of, search_strategies
from archwright.agents.problem import History
from archwright.agents.proposer import Request, RuleBasedProposer
from archwright.agents.strategies import make_strategy
from archwright.agents.strategies.common import network_keys
from archwright.brief import parse_brief

pytestmark = pytest.mark.usefixtures("little_evolution")


@pytest.fixture
def ask(small):
    """``ask(problem, evaluated, strategy, focus, n)``: proposals, and the front they are near."""

    def build(problem, evaluated, strategy="surrogate", focus=3, n=6, tried=frozenset()):
        pairings = Pairings(problem)
        history = History(evaluated, frozenset({e.key for e in evaluated} | tried))
        frontier = Frontier(problem, pairings)
        frontier.add(evaluated)
        narrow = narrowed(problem, frontier, focus)
        chosen = make_strategy(strategy, narrow, pairings, (1, 2))
        chosen.tell(history)
        rng = np.random.default_rng(0)
        made = focused(chosen, n, focus, problem, pairings, frontier, history.tried, rng)
        front = np.stack([p.evaluated.row for p in frontier.points()]) if frontier.points() else ()
        return made, front, history

    return build


def test_near_counts_the_choices_that_differ():
    front = np.array([[0, 0, 0], [2, 2, 2]])
    rows = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 2, 0]])
    assert near(rows, front, 1).tolist() == [True, True, False, False, True]
    assert near(rows, front, 2).tolist() == [True, True, True, False, True]


@pytest.mark.parametrize("strategy", search_strategies())
def test_every_strategy_stays_near_the_front(ask, small, problem, strategy):
    evaluated = small.evaluate(problem, problem.network_space.sample(np.random.default_rng(1), 10))
    made, front, history = ask(problem, evaluated, strategy)
    rows = np.stack([s.network for s in made])
    keys = network_keys(problem.network_space, rows)
    assert len(made) == len(set(keys)) == 6
    assert not set(keys) & history.tried
    assert near(rows, front, 3).all()
    assert all("within 3 choices of the front" in s.reason for s in made)
    hardware = np.stack([s.hardware for s in made])
    assert problem.affordable(problem.costing.zip(rows, hardware)).all()


def test_the_same_round_is_the_same_batch(ask, small, problem):
    evaluated = small.evaluate(problem, problem.network_space.sample(np.random.default_rng(1), 10))
    one, other = (ask(problem, evaluated, "random")[0] for _ in range(2))
    assert [s.network.tolist() for s in one] == [s.network.tolist() for s in other]


def test_the_strategy_keeps_its_order_and_its_expectations(ask, small, problem):
    evaluated = small.evaluate(problem, problem.network_space.sample(np.random.default_rng(1), 10))
    made, _, _ = ask(problem, evaluated, n=2)
    gains = [s.expected_gain for s in made]
    assert None not in gains
    assert gains == sorted(gains, reverse=True)


def test_without_a_focus_or_a_front_the_whole_space_is_asked(ask, small, problem):
    rows = problem.network_space.sample(np.random.default_rng(1), 6)
    evaluated = small.evaluate(problem, rows)
    whole, _, _ = ask(problem, evaluated, "random", focus=0)
    assert {s.reason for s in whole} == {"drawn uniformly"}
    hopeless = small.make_problem(constraints={"accuracy": {"at_least": 1.0}})
    nothing, front, _ = ask(hopeless, small.evaluate(hopeless, rows), "random")
    assert len(front) == 0
    assert {s.reason for s in nothing} == {"drawn uniformly"}


def test_where_nothing_near_is_left_the_rest_of_the_space_follows(ask, small):
    """Of eight networks the front's only one and its neighbours are tried: four are farther."""
    problem = small.make_problem(networks=small.smallest(width_3=2, depth_3=2, resolution=2))
    space = problem.network_space
    rows = space.enumerate()
    evaluated = small.evaluate(problem, rows[:1], accuracy=lambda network: 0.5)
    close = near(rows, rows[:1], 1)
    tried = frozenset(network_keys(space, rows[close]))
    made, _, _ = ask(problem, evaluated, "random", focus=1, n=8, tried=tried)
    assert len(made) == (~close).sum() == 4
    assert all(s.reason.endswith("; nothing new within 1 choices of the front") for s in made)


def test_the_proposer_carries_the_focus_out(small, problem, pairings):
    evaluated = small.evaluate(problem, problem.network_space.sample(np.random.default_rng(1), 10))
    history = small.history_of(evaluated)
    frontier = Frontier(problem, pairings)
    frontier.add(evaluated)
    brief = parse_brief(
        {
            "name": "plan",
            "task": {"data": "digits"},
            "objectives": {"accuracy": "maximise"},
            "budget": {"evaluations": 9},
        }
    )
    request = Request(3, 0, phases_of(brief)["refine"], 4, history, frontier, focus=2)
    designs = RuleBasedProposer(problem, pairings, 0).propose(request)
    rows = problem.network_space.encode([design.network for design in designs])
    assert len(designs) == 4
    assert near(rows, np.stack([p.evaluated.row for p in frontier.points()]), 2).all()
    assert any(design.origin.expected_gain is not None for design in designs)
