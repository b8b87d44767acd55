"""The true front, and the black-box view of the same designs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings
from archwright.space import Choice, Space
from archwright.tabular import problem as module
from archwright.tabular.bench import Arena, Terms, search
from archwright.tabular.entrants import parse_entrants
from archwright.tabular.joint import _renamed, joint
from archwright.tabular.listed import ListedSpace
from archwright.tabular.problem import TabularProblem


def test_the_true_front_is_that_of_all_networks_on_all_hardware(tiny, tiny_table, monkeypatch):
    problem = tiny.problem
    everything = Frontier(problem, Pairings(problem))
    everything.add(tiny.evaluate(problem.network_space.enumerate(), 0))
    assert tiny.true_hypervolume == pytest.approx(everything.hypervolume)
    assert 0 < tiny.true_hypervolume < 1
    assert len(tiny.true_front) == len(everything.losses)

    import tables

    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 50)  # chunks of three networks
    again = tables.tiny(tiny_table, "short")
    assert again.true_hypervolume == pytest.approx(everything.hypervolume)


def test_a_black_box_has_the_same_designs_and_score(tiny):
    black_box = joint(tiny)
    problem = black_box.problem
    assert problem.network_space.size == 48 * 16
    assert problem.learned == ("accuracy", "latency_ms", "area_mm2")
    assert problem.cost_objectives == ()
    designs = problem.network_space.enumerate()
    evaluated = black_box.evaluate(designs, 2)
    # Half of the hardware has 8 bits, half of the networks need 16.
    assert len(evaluated) == 48 * 16 * 3 // 4
    front = Frontier(problem, Pairings(problem))
    front.add(evaluated)
    assert front.hypervolume == pytest.approx(tiny.true_hypervolume)
    assert black_box.true_hypervolume == tiny.true_hypervolume


def test_an_evaluation_reveals_one_design(tiny):
    black_box = joint(tiny)
    network, hardware = np.array([2, 1, 0, 0]), np.array([1, 0, 0, 0, 0, 0, 1, 0, 1])
    [found] = black_box.evaluate(np.concatenate([network, hardware])[None], 0)
    [looked_up] = tiny.evaluate(network[None], 0)
    costs = tiny.problem.costing.zip(network[None], hardware[None])
    assert dict(found.measured) == {
        "accuracy": looked_up.accuracy,
        "latency_ms": costs["latency_ms"][0],
        "area_mm2": costs["area_mm2"][0],
    }


def test_names_are_made_unique(tiny):
    names = joint(tiny).problem.network_space.names
    assert names[:4] == ("width", "depth", "rows", "bits")
    assert names[4:6] == ("hardware_rows", "columns")
    assert names[-1] == "hardware_bits"
    space = Space("h", (Choice("a", (1, 2), ""), Choice("hardware_a", (1, 2), "")))
    assert [c.name for c in _renamed(space, ("a",))] == ["hardware_hardware_a", "hardware_a"]


def test_the_black_box_of_a_part_of_a_space_keeps_to_it(tiny):
    listed = tiny.problem.network_space.enumerate()[[3, 17, 30]]
    whole = tiny.problem.network_space
    space = ListedSpace(whole.name, whole.choices, listed)
    costing = replace(tiny.problem.costing, network_space=space)
    problem = replace(tiny.problem, network_space=space, costing=costing)
    part = TabularProblem("part", problem, tiny.row_of)
    assert len(part.networks) == 3
    assert part.true_hypervolume < tiny.true_hypervolume
    found = search(Arena(part), parse_entrants("random", True)[0], 0, Terms(60, 10))
    assert found.looked_up == 3 * 16
    assert found.hypervolumes[-1] == pytest.approx(part.true_hypervolume)
