"""What makes evolution, NSGA-II and TPE what they are, beside the contract of all strategies."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.problem import Evaluated, History, Problem, Suggestion
from archwright.agents.strategies import evolution, make_strategy
from archwright.agents.strategies.classic import HANDFUL
from archwright.brief import Constraint

CLASSICS = ("evolution", "nsga2", "tpe")


@pytest.fixture(scope="module")
def black_box(small: Any) -> tuple[Problem, Pairings, Callable[..., tuple[Evaluated, ...]]]:
    problem, measure = small.make_black_box(("error", "delay"), size=6)
    return problem, Pairings(problem), measure


def history(evaluated: tuple[Evaluated, ...]) -> History:
    return History(evaluated, frozenset(e.key for e in evaluated))


def ask(black_box: Any, name: str, told: History, n: int = 8, **options: Any) -> list[Suggestion]:
    strategy = make_strategy(name, *black_box[:2], (3, 1), **options)
    strategy.tell(told)
    return strategy.ask(n)


@pytest.fixture(scope="module")
def told(black_box: Any) -> History:
    """Sixty different networks."""
    problem, _, measure = black_box
    every = problem.network_space.enumerate()
    return history(measure(every[np.random.default_rng(2).permutation(len(every))[:60]]))


@pytest.mark.parametrize("name", CLASSICS)
def test_the_opening_is_drawn_uniformly(black_box, told, name):
    few, enough = (history(told.evaluated[:n]) for n in (HANDFUL - 1, HANDFUL))
    assert {s.reason for s in ask(black_box, name, few)} == {"drawn uniformly"}
    assert "drawn uniformly" not in {s.reason for s in ask(black_box, name, enough)}


def test_a_child_differs_from_a_living_parent_in_one_choice(black_box, told, monkeypatch):
    monkeypatch.setattr(evolution, "POPULATION", 12)
    living = {e.design: e.row for e in told.evaluated[-12:]}
    for child in ask(black_box, "evolution", told, 20):
        (parent,) = child.parents
        assert (child.network != living[parent]).sum() == 1


def test_the_best_win_tournaments(black_box, small):
    problem, measure = small.make_black_box(("error",), size=6)
    single = problem, Pairings(problem), measure
    rows = problem.network_space.sample(np.random.default_rng(0), 40)
    evaluated = tuple({e.key: e for e in measure(rows)}.values())
    worse = sorted(e.measured["error"] for e in evaluated)[len(evaluated) // 2]
    losers = {e.design for e in evaluated if e.measured["error"] > worse}
    parents = [s.parents[0] for s in ask(single, "evolution", history(evaluated), 30)]
    assert len(set(parents)) > 3
    assert not losers & set(parents)  # by chance: 1 in 1,000 tournaments


def test_the_parents_of_nsga2_are_the_best_of_all(black_box, told):
    problem, pairings, _ = black_box
    frontier = Frontier(problem, pairings)
    frontier.add(told.evaluated)
    best = {point.evaluated.design for point in frontier.points()}
    batch = ask(black_box, "nsga2", told, 20, population=len(best))
    parents = {parent for s in batch for parent in s.parents}
    assert parents <= best
    assert len(parents) > 2
    rows = {e.design: e.row for e in told.evaluated}
    shares = []
    for child in batch:
        either = np.stack([rows[parent] for parent in child.parents])
        shares.append((child.network == either).any(axis=0).mean())
    assert np.mean(shares) > 0.6  # one choice in four mutates


def test_a_population_has_two_at_least(black_box):
    with pytest.raises(ValueError, match="population = 1: allowed 2 or more"):
        make_strategy("nsga2", *black_box[:2], (1,), population=1)


def test_optuna_says_nothing_and_is_left_as_it_was(black_box, told, capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    handlers = list(logging.getLogger("optuna").handlers)
    ask(black_box, "tpe", told, 2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert logging.getLogger("optuna").handlers == handlers


@pytest.mark.parametrize("name", CLASSICS)
def test_bounds_on_what_is_learned_are_heeded(small, name):
    free, measure = small.make_black_box(("error", "delay"), size=6)
    # The smallest error is out of bounds; about a quarter of the space is within them.
    problem = replace(free, constraints={"delay": Constraint(at_most=0.4)})
    rows = problem.network_space.sample(np.random.default_rng(1), 60)
    evaluated = tuple({e.key: e for e in measure(rows)}.values())
    bounded, unbounded = (
        np.mean([problem.acceptable(e.measured) for e in measure([s.network for s in batch])])
        for batch in (ask((p, Pairings(p)), name, history(evaluated), 24) for p in (problem, free))
    )
    assert bounded > max(unbounded, 0.5)


@pytest.mark.parametrize("name", CLASSICS)
def test_a_short_search_beats_random_draws(black_box, name):
    problem, pairings, measure = black_box

    def hypervolume(strategy: str, seed: int) -> float:
        told = History()
        for step in range(5):
            searching = make_strategy(strategy, problem, pairings, (seed, step))
            searching.tell(told)
            fresh = measure([s.network for s in searching.ask(12)], step)
            told = history((*told.evaluated, *fresh))
        frontier = Frontier(problem, pairings)
        frontier.add(told.evaluated)
        return frontier.hypervolume

    guided, drawn = (np.mean([hypervolume(s, seed) for seed in range(3)]) for s in (name, "random"))
    assert guided > drawn
