"""Free costs: pairs, whole spaces, and spaces that are too large to pair whole."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.costing import neighbours
from archwright.agents.frontier import Pairings
from archwright.evaluators.hardware import AnalyticalEvaluator
from archwright.front import non_dominated
from archwright.measurement import COSTS


def test_costs_are_those_of_the_instrument(problem, small):
    rng = np.random.default_rng(0)
    networks = problem.network_space.sample(rng, 4)
    hardware = problem.hardware_space.sample(rng, 4)
    zipped = problem.costing.zip(networks, hardware)
    crossed = problem.costing.cross(networks, hardware)
    instrument = AnalyticalEvaluator(small.workload_of, problem.hardware_space)
    for k in range(4):
        device = problem.hardware_space.decode(hardware[k : k + 1])[0]
        [design] = small.designs_of(problem, networks[k : k + 1], device)
        [outcome] = instrument.measure([design])
        for metric in COSTS:
            assert crossed[metric][k, k] == zipped[metric][k]
        if outcome.failure is None:
            measured = {m.metric: m.value for m in outcome.measurements}
            assert measured == {metric: zipped[metric][k] for metric in COSTS}
            assert problem.costing.why_not(networks[k], device) is None
        else:
            assert zipped["latency_ms"][k] == np.inf
            assert problem.costing.why_not(networks[k], device) == outcome.failure.reason


def test_no_pairs_cost_nothing(problem):
    none = problem.costing.zip(np.zeros((0, 14), np.int64), np.zeros((0, 9), np.int64))
    assert {metric: values.shape for metric, values in none.items()} == dict.fromkeys(COSTS, (0,))


def test_neighbours_are_one_step_away(problem):
    space = problem.hardware_space
    rows = space.sample(np.random.default_rng(0), 3)
    found = neighbours(space, rows)
    assert len(np.unique(found, axis=0)) == len(found)
    assert (found >= 0).all()
    assert (found < np.array(space.shape)).all()
    for point in space.enumerate():
        steps = [np.abs(point - row) for row in rows]
        ordered = np.array([choice.ordered for choice in space.choices])
        near = any((s > 0).sum() == 1 and s[ordered].sum() <= 1 for s in steps)
        assert near == any((point == other).all() for other in found)


@pytest.fixture(scope="module")
def sampled(small):
    """The same problem, whole and with a sample of 24 of its 64 hardware points."""
    return small.make_problem(), small.make_problem(exhaustive=24)


def test_a_sample_stands_for_a_large_space(sampled):
    whole, part = sampled
    assert len(whole.costing.hardware) == whole.hardware_space.size
    assert 8 <= len(part.costing.hardware) <= 24
    again = part.costing.hardware
    assert np.array_equal(again, part.costing.hardware)


def test_neighbours_of_the_best_are_tried_as_well(sampled):
    whole, part = sampled
    row = whole.network_space.sample(np.random.default_rng(2), 1)[0]
    found, best = Pairings(part).of(row), Pairings(whole).of(row)
    hardware, costs = part.costing.everywhere(row)
    seen = {tuple(point) for point in hardware.tolist()}
    assert any(tuple(point) not in seen for point in found.hardware.tolist())

    def losses(pairing):
        return part.losses({"accuracy": 1.0}, pairing.costs)

    together = np.concatenate([losses(best), losses(found)])
    assert non_dominated(together)[: len(best)].all()  # nothing beats the whole space
    plain = part.losses({"accuracy": 1.0}, costs)[part.affordable(costs)]
    score = part.score.hypervolume
    assert score(losses(best)) >= score(losses(found)) >= score(plain)
