"""Searches of a table: what counts, how it is scored, and that chance is the seed's alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import tables

from archwright.agents.frontier import Frontier, hypervolume_curve
from archwright.agents.problem import History, Suggestion
from archwright.agents.strategies import STRATEGIES
from archwright.bench_commands import generic_arena
from archwright.errors import UserError
from archwright.tabular.bench import Arena, Search, Terms, _standing, compare, search
from archwright.tabular.entrants import AnewEachStep, Entrant, parse_entrants
from archwright.tabular.generic import generic

EVERY = [*STRATEGIES, *(f"{name}+costing" for name in STRATEGIES)]


def entrant(label: str, hardware: bool = True) -> Entrant:
    [found] = parse_entrants(label, hardware)
    return found


@pytest.mark.parametrize("label", EVERY)
def test_every_strategy_searches_and_goes_on_after_failures(arena, label):
    terms = Terms(evaluations=14, batch=5, failures=0.3)
    found = search(arena, entrant(label), 1, terms)
    assert found.looked_up == 14
    assert found.hypervolumes.shape == (14,)
    assert (np.diff(found.hypervolumes) >= 0).all()
    assert 0 < found.hypervolumes[-1] <= arena.tabular.true_hypervolume + 1e-12
    assert found.seconds > 0
    again = search(arena, entrant(label), 1, terms)
    assert (again.hypervolumes == found.hypervolumes).all()
    assert again.reported == found.reported


@pytest.mark.parametrize("label", STRATEGIES)
def test_every_strategy_searches_any_table(make_table, label):
    rows = [f"{a},{b},{(a - 3) ** 2 + b},{100 - 9 * a + a * b}" for a in range(8) for b in range(6)]
    arena = Arena(generic(make_table("a,b,x,y", *rows), ["a", "b"], ["x", "y"]))
    found = search(arena, entrant(label, False), 0, Terms(14, 5, failures=0.3))
    assert found.looked_up == 14
    assert 0 < found.hypervolumes[-1] <= arena.tabular.true_hypervolume + 1e-12


def test_free_costing_finds_the_whole_front_with_every_network(arena):
    found = search(arena, entrant("random+costing"), 0, Terms(60, batch=9))
    assert found.looked_up == 48  # there are no more
    assert found.hypervolumes[-1] == pytest.approx(arena.tabular.true_hypervolume)
    assert found.reported == pytest.approx(
        reported_by_hand(arena, arena.tabular.problem.network_space.enumerate())
    )


def reported_by_hand(arena: Arena, networks) -> float:
    """The front of these networks by one column, its designs scored by the other."""
    front = Frontier(arena.tabular.problem, arena.costed_pairings)
    front.add(arena.tabular.evaluate(networks, 0))
    problem = arena.reported.problem
    losses = [
        problem.losses(
            arena.reported.row_of[p.evaluated.key],
            {m: np.array([v]) for m, v in p.costs.items()},
        )
        for p in front.points()
    ]
    return problem.score.hypervolume(np.concatenate(losses))


def test_a_black_box_front_is_reported_as_found(arena):
    """Designs of both views are looked up alike in the column that nobody saw."""
    rows = arena.black_box.problem.network_space.sample(np.random.default_rng(0), 30)
    front = Frontier(arena.black_box.problem, arena.black_box_pairings)
    front.add(arena.black_box.evaluate(rows, 0))
    chosen = np.array([p.evaluated.row for p in front.points()])
    problem = arena.unseen.problem
    values = [e.measured for e in arena.unseen.evaluate(chosen, 0)]
    losses = problem.score.losses(
        {m: np.array([v[m] for v in values]) for m in problem.score.metrics}
    )
    expected = problem.score.hypervolume(losses)
    assert arena.report(arena.black_box, front) == pytest.approx(expected)


class Scripted:
    """Proposes what it is told to, and remembers what it was told and how it was made."""

    name = "scripted"

    def __init__(self, batches: list[list[list[int]]]) -> None:
        self.batches, self.told, self.seeds = batches, [], []
        self.label = "scripted"
        self.costed = True

    def begin(self, problem, pairings, seed):
        return AnewEachStep(self, problem, pairings, seed)

    def make(self, problem, pairings, seed):
        self.seeds.append(seed)
        return self

    def tell(self, history: History) -> None:
        self.told.append(history)

    def ask(self, n: int) -> list[Suggestion]:
        rows = self.batches[len(self.told) - 1] if len(self.told) <= len(self.batches) else []
        return [Suggestion(np.array(row), np.zeros(9, np.int64), "") for row in rows]


def test_only_new_look_ups_count(arena):
    a, b, c = [3, 2, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]
    scripted = Scripted([[a, a, b], [b, a], [c]])
    found = search(arena, scripted, 7, Terms(evaluations=6, batch=3))
    # The second batch is nothing new: there the search ends, and its score is carried on.
    assert found.looked_up == 2
    assert scripted.seeds == [(7, 0, 0), (7, 1, 0)]
    assert [len(told.tried) for told in scripted.told] == [0, 2]
    evaluated = arena.tabular.evaluate(np.array([a, b]), 0)
    curve = hypervolume_curve(arena.tabular.problem, arena.costed_pairings, evaluated)
    assert found.hypervolumes.tolist() == [curve[0], *[curve[1]] * 5]
    assert scripted.told[1].evaluated[1].key == evaluated[1].key


def test_what_the_table_does_not_hold_is_tried_and_costs_nothing(arena, tiny_table):
    a, b = [3, 2, 0, 0], [2, 2, 0, 0]
    whole = tables.tiny(tiny_table, "short")
    [absent] = whole.evaluate(np.array([a]), 0)
    rows = {key: row for key, row in whole.row_of.items() if key != absent.key}
    holed = Arena(type(whole)("holed", whole.problem, rows))
    scripted = Scripted([[a], [b]])
    found = search(holed, scripted, 0, Terms(evaluations=1, batch=1))
    assert found.looked_up == 1
    assert scripted.told[1].tried == {absent.key}
    assert found.hypervolumes[0] > 0


def test_failed_look_ups_count_and_reveal_nothing(arena):
    rows = arena.tabular.problem.network_space.enumerate().tolist()
    scripted = Scripted([rows[:24], rows[24:], []])
    found = search(arena, scripted, 5, Terms(evaluations=50, batch=48, failures=0.3))
    assert found.looked_up == 48
    known = scripted.told[-1]
    assert len(known.tried) == 48
    assert 24 < len(known.evaluated) < 44
    other = Scripted([rows[:24], rows[24:], []])
    search(arena, other, 6, Terms(50, 48, failures=0.3))
    assert {e.key for e in other.told[-1].evaluated} != {e.key for e in known.evaluated}


def test_standings_are_medians_and_worsts():
    searches = [
        Search(np.array([0.1, h]), 2, 1.0, r) for h, r in ((0.2, 0.3), (0.4, 0.1), (0.3, 0.2))
    ]
    standing = _standing(searches, 0.5, 0.4)
    assert standing.median.tolist() == pytest.approx([0.2, 0.6])
    assert standing.worst.tolist() == pytest.approx([0.2, 0.4])
    assert standing.seconds_per_design == pytest.approx(0.5)
    assert (standing.reported_median, standing.reported_worst) == pytest.approx((0.5, 0.25))


def test_workers_come_to_the_same(tmp_path):
    path = tables.write_tiny(tmp_path / "tiny.csv")
    make = partial(
        generic_arena,
        path,
        ("width", "depth", "rows", "bits"),
        (),
        ("short", "long"),
        "refuse",
        False,
    )
    compared = [make(), parse_entrants("random", False), 2, Terms(12)]
    alone = compare(make, *compared, workers=1)
    apart = compare(make, *compared, workers=2)
    assert alone.keys() == apart.keys() == {"random"}
    assert alone["random"].median.tolist() == apart["random"].median.tolist()
    assert alone["random"].worst.tolist() == apart["random"].worst.tolist()


def test_names_of_strategies():
    found = parse_entrants("surrogate, random+costing,random,random", True)
    assert [(e.label, e.strategy, e.costed) for e in found] == [
        ("surrogate", "surrogate", True),
        ("random+costing", "random", True),
        ("random", "random", False),
    ]
    assert not entrant("surrogate", hardware=False).costed


@pytest.mark.parametrize(
    ("text", "hardware", "complaint"),
    [
        ("", True, "--strategies = '': at least one is needed; allowed random, "),
        ("magic", True, "'magic': allowed random, .* each also as NAME.costing"),
        ("random,Random", True, "'Random': allowed random"),
        ("random+costings", True, "'random.costings': allowed"),
        ("random:5", True, "'random:5': only nsga2 takes a population"),
        ("random+costing", False, "no free costs; say random$"),
    ],
)
def test_wrong_names_are_one_line(text, hardware, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_entrants(text, hardware)


@pytest.mark.skipif("nsga2" not in STRATEGIES, reason="there is no strategy with a population")
@pytest.mark.parametrize(("label", "population"), [("nsga2", None), ("nsga2:10+costing", 10)])
def test_a_population_is_named_after_a_colon(arena, label, population):
    assert entrant(label).population == population
    assert search(arena, entrant(label), 0, Terms(6, 3)).looked_up == 6
    for wrong in ("nsga2:", "nsga2:1", "nsga2:-3", "nsga2:ten", "nsga2:99999999999"):
        with pytest.raises(UserError, match="allowed populations from 2 to 10000"):
            parse_entrants(wrong, True)
