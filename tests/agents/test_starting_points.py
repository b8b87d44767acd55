"""Starting points: recalled networks far apart in complexity that this brief allows."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.frontier import Pairings
from archwright.agents.recollection import RecalledDesign
from archwright.agents.starting_points import starting_points
from archwright.agents.strategies.spread import draw_scaled
from archwright.space import point_hash


def ideas(problem, rows, similarity=0.9):
    networks = problem.network_space.decode(np.stack(rows))
    return [RecalledDesign(f"past-{k}", "run-1", n, similarity) for k, n in enumerate(networks)]


def decades(problem, designs):
    rows = problem.network_space.encode([design.network for design in designs])
    return np.log10([w.macs for w in problem.costing.workloads(rows)])


@pytest.fixture
def sizes(problem):
    """32 networks from the smallest to the largest."""
    return draw_scaled(problem.network_space, np.random.default_rng(1), 30)


def near_copies(problem, n):
    """Networks that differ in one choice or two from the one in the middle."""
    middle = np.array(problem.network_space.shape) // 2
    rows = {tuple(middle)}
    for c in range(len(middle)):
        rows.add(tuple(np.where(np.arange(len(middle)) == c, 0, middle)))
    return [np.array(row) for row in sorted(rows)][:n]


def test_near_copies_come_after_what_lies_apart(problem, pairings, sizes):
    recalled = ideas(problem, [*near_copies(problem, 12), *sizes])
    taken = starting_points(recalled, problem, pairings, set(), 5)
    reached = decades(problem, taken)
    most = decades(problem, [*recalled])
    assert reached.max() - reached.min() == pytest.approx(most.max() - most.min())
    in_order = decades(problem, recalled[:5])
    assert np.diff(np.sort(reached)).min() > 3 * np.diff(np.sort(in_order)).min()
    assert taken[0].origin.recalled == ("past-0",)


def test_of_two_equally_far_the_more_similar_is_taken(problem, pairings, sizes):
    far = ideas(problem, sizes[[0, -1]], 0.2)
    near = ideas(problem, sizes[[2, -3]], 0.9)
    first = ideas(problem, [sizes[len(sizes) // 2]], 1.0)
    taken = starting_points([*far, *near, *first], problem, pairings, set(), 3)
    assert taken[0].network == first[0].network
    assert {d.network_key for d in taken[1:]} == {point_hash(idea.network) for idea in near}


def test_what_the_brief_allows_on_no_hardware_is_passed_over(small, sizes):
    problem = small.make_problem(constraints={"macs": {"at_most": 10**5.5}})
    recalled = ideas(problem, sizes)
    taken = starting_points(recalled, problem, Pairings(problem), set(), 6)
    assert len(taken) == 6
    assert decades(problem, taken).max() <= 5.5 < decades(problem, recalled).max()
    costs = problem.costing.zip(
        problem.network_space.encode([d.network for d in taken]),
        problem.hardware_space.encode([d.hardware for d in taken]),
    )
    assert problem.affordable(costs).all()


def test_only_what_is_chosen_is_paired(problem, sizes):
    """A pairing costs a tenth of a second on a large hardware space."""

    class Counting(Pairings):
        asked = 0

        def of(self, network):
            self.asked += 1
            return super().of(network)

    counting = Counting(problem)
    assert len(starting_points(ideas(problem, sizes), problem, counting, set(), 4)) == 4
    assert counting.asked == 4


def test_nothing_usable_is_no_start(problem, pairings, sizes):
    recalled = ideas(problem, sizes[:1])
    tried = {d.network_key for d in starting_points(recalled, problem, pairings, set(), 1)}
    assert starting_points(recalled, problem, pairings, tried, 3) == []
    assert starting_points([], problem, pairings, set(), 3) == []
    unlike = [RecalledDesign("x", "run-1", {"heads": 8}, 0.9)]
    assert starting_points(unlike, problem, pairings, set(), 3) == []
    opposite = ideas(problem, sizes[[0, -1]], -0.5)
    assert len(starting_points(opposite, problem, pairings, set(), 3)) == 2
