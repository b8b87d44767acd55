"""Any table as a problem: its choices, its score, what it refuses, and that searches stay in it."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.frontier import Pairings
from archwright.agents.problem import History
from archwright.agents.strategies import STRATEGIES, make_strategy
from archwright.errors import DataError
from archwright.tabular.bench import Arena, Terms, search
from archwright.tabular.entrants import parse_entrants
from archwright.tabular.generic import generic

WHOLE = ("1,x,5,1", "1,y,4,3", "2,x,3,900", "2,y,1,30", "10,x,2,50", "10,y,6,2")


def test_numbers_are_ordered_and_words_are_not(make_table):
    problem = generic(make_table("n,w,loss,s", *WHOLE), ["n", "w"], ["loss", "s"]).problem
    n, w = problem.network_space.choices
    assert n.values == (1, 2, 10)
    assert n.ordered
    assert w.values == ("x", "y")
    assert not w.ordered
    assert problem.learned == ("loss", "s")
    assert problem.cost_objectives == ()
    table = make_table("n,w,loss,s", "0.5,7,1,2", "1.50,auto,2,1")
    n, w = generic(table, ["n", "w"], ["loss", "s"]).problem.network_space.choices
    assert n.values == (0.5, 1.5)
    assert w.values == ("7", "auto")


def test_the_score_goes_from_the_least_to_the_most(make_table):
    found = generic(make_table("n,w,loss,s", *WHOLE), ["n", "w"], ["s"], ["loss"])
    s, loss = found.problem.score.bounds
    assert (s.low, s.high, s.log, s.maximise) == (1, 900, True, False)
    assert (loss.low, loss.high, loss.log, loss.maximise) == (1, 6, False, True)
    # The front: (1, 5) and (2, 6); its two boxes by hand, time by log10.
    low = 1 - np.log(2) / np.log(900)
    assert found.true_hypervolume == pytest.approx(0.8 + 0.2 * low)
    assert sorted(found.true_front[:, 1].tolist()) == pytest.approx([0.0, 0.2])


def test_an_evaluation_reveals_the_row(make_table):
    found = generic(make_table("n,w,loss,s", *WHOLE), ["n", "w"], ["loss", "s"])
    [e] = found.evaluate(np.array([[2, 0]]), step=4)
    assert dict(e.measured) == {"loss": 2.0, "s": 50.0}
    assert (e.step, e.row.tolist()) == (4, [2, 0])
    assert found.holds(np.array([[2, 0]])).tolist() == [True]


@pytest.mark.parametrize(
    ("rows", "arguments", "complaint"),
    [
        (WHOLE, {"choices": ["n", "v"]}, "'v': not a column of some.csv; its columns are n, w"),
        (WHOLE, {"choices": []}, "at least one choice is needed: --choices"),
        (WHOLE, {"minimise": []}, "at least one metric is needed"),
        (WHOLE, {"maximise": ["loss"]}, "'loss': named twice"),
        (WHOLE, {"choices": ["n", "s"]}, "'s': named twice"),
        (WHOLE, {"duplicates": "first"}, "duplicates = 'first': allowed refuse, mean"),
        (WHOLE, {"choices": ["n"]}, "rows 2 and 3 have the same choices; --duplicates mean"),
        (("1,x,5,1", "1,y,4,3"), {}, "column 'n' = 1 in every row: no choice"),
        (("1,x,5,1", "2,y,5,3"), {}, "column 'loss' = 5 in every row: nothing to compare"),
        (("1,x,5,1", "2,,4,3"), {}, "row 3, column 'w' = '': a value is missing"),
        (("1,x,5,1", "2,y,4,much"), {}, "row 3, column 's' = 'much': allowed a finite number"),
    ],
)
def test_tables_that_cannot_be_searched_are_one_line(make_table, rows, arguments, complaint):
    table = make_table("n,w,loss,s", *rows)
    with pytest.raises(DataError, match=complaint) as raised:
        generic(table, **{"choices": ["n", "w"], "minimise": ["loss", "s"], **arguments})
    assert "\n" not in str(raised.value)


def test_a_front_of_nothing_is_refused(make_table):
    found = generic(make_table("n,a,b", "1,0,1", "2,1,0"), ["n"], ["a", "b"])
    with pytest.raises(DataError, match="the true hypervolume is 0"):
        _ = found.true_hypervolume


def test_rows_of_the_same_choices_are_averaged(make_table):
    table = make_table("n,a", "1,4", "2,1", "1.0,2", "3,7")
    found = generic(table, ["n"], ["a"], duplicates="mean")
    values = [e.measured["a"] for e in found.evaluate(np.array([[0], [1], [2]]), 0)]
    assert values == [3.0, 1.0, 7.0]


@pytest.fixture
def sparse(make_table):
    """60 of the 8,000 combinations of three choices: 20 numbers twice, and 20 words."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(8000)[:60]
    rows = [f"{c // 400},{c // 20 % 20},w{c % 20},{rng.random():.4f},{c + 1}" for c in codes]
    return generic(make_table("a,b,c,x,y", *rows), ["a", "b", "c"], ["x"], ["y"])


def test_of_a_sparse_table_only_rows_can_run(sparse):
    space = sparse.problem.network_space
    assert space.size == np.prod(space.shape) > 60 == len(sparse.networks)
    pairings = Pairings(sparse.problem)
    drawn = np.random.default_rng(1).integers(0, space.shape, size=(200, 3))
    rows = np.concatenate([space.sample(np.random.default_rng(2), 50), drawn])
    held = sparse.holds(rows)
    assert held[:50].all()
    assert not held[50:].all()
    assert [len(pairings.of(row)) == 1 for row in rows] == held.tolist()
    assert len(sparse.evaluate(rows, 0)) == held.sum()


def test_a_sparse_table_is_searched_to_its_end(sparse):
    [random] = parse_entrants("random", hardware=False)
    found = search(Arena(sparse), random, 3, Terms(evaluations=80, batch=7))
    assert found.looked_up == 60
    assert found.hypervolumes[59] == pytest.approx(sparse.true_hypervolume)
    assert (found.hypervolumes[59:] == found.hypervolumes[59]).all()


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("known", [0, 12])
def test_every_strategy_keeps_to_the_rows_of_a_sparse_table(sparse, name, known):
    evaluated = sparse.evaluate(sparse.networks[:known], 0)
    strategy = make_strategy(name, sparse.problem, Pairings(sparse.problem), (1,))
    strategy.tell(History(evaluated, frozenset(e.key for e in evaluated)))
    rows = np.stack([s.network for s in strategy.ask(6)])
    assert len(rows) == 6
    assert sparse.holds(rows).all()


def test_every_row_is_proposed_once(sparse):
    strategy = make_strategy("random", sparse.problem, Pairings(sparse.problem), (0,))
    strategy.tell(History())
    rows = {tuple(s.network.tolist()) for s in strategy.ask(100)}
    assert rows == {tuple(row) for row in sparse.networks.tolist()}
