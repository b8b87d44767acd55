"""Bounds that nothing meets: found early, with the design that comes nearest."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.feasibility import check_bounds, nearest_design
from archwright.errors import BriefError


def complaint(problem):
    with pytest.raises(BriefError) as caught:
        check_bounds(problem, 0)
    message = str(caught.value)
    assert "\n" not in message
    return message


def costs_of(problem, found):
    network = problem.network_space.encode([found.network])
    hardware = problem.hardware_space.encode([found.hardware])
    return {m: float(v[0]) for m, v in problem.costing.zip(network, hardware).items()}


def test_bounds_that_something_meets_are_silent(small):
    for bounds in ({}, {"accuracy": {"at_least": 1.0}}, {"latency_ms": {"at_most": 0.05}}):
        problem = small.make_problem(constraints=bounds)
        check_bounds(problem, 0)
        assert nearest_design(problem, 0).miss == 0.0


def test_one_bound_out_of_reach_is_named_with_the_nearest_design(small):
    problem = small.make_problem(constraints={"latency_ms": {"at_most": 1e-5}})
    message = complaint(problem)
    assert message.startswith("constraints.latency_ms.at_most = 1e-05: the least found over ")
    nearest = nearest_design(problem, 0)
    assert f"designs is {nearest.costs['latency_ms']:.3g}, network depth_1=1 " in message
    assert ", hardware rows=" in message
    assert nearest.costs == costs_of(problem, nearest)


def test_of_two_bounds_the_one_out_of_reach_is_named(small):
    bounds = {"latency_ms": {"at_most": 0.05}, "parameters": {"at_least": 1e8}}
    message = complaint(small.make_problem(constraints=bounds))
    assert message.startswith("constraints.parameters.at_least = 1e+08: the most found over ")
    assert "latency" not in message


def test_bounds_that_are_met_each_but_not_together_are_named_together(small):
    bounds = {
        "parameters": {"at_most": 1500},
        "macs": {"at_least": 900_000},
        "accuracy": {"at_least": 0.9},
    }
    for metric in ("parameters", "macs"):
        check_bounds(small.make_problem(constraints={metric: bounds[metric]}), 0)
    problem = small.make_problem(constraints=bounds)
    message = complaint(problem)
    assert message.startswith("constraints: no design of ")
    assert "meets parameters at most 1500 and macs at least 900000 together; the nearest has " in (
        message
    )
    nearest = nearest_design(problem, 0)
    costs = costs_of(problem, nearest)
    assert f"parameters {costs['parameters']:.3g}, macs {costs['macs']:.3g}, network " in message
    assert " hardware rows=" in message
    missed = max(costs["parameters"] / 1500 - 1, 0) + max(1 - costs["macs"] / 900_000, 0)
    assert nearest.miss == pytest.approx(missed)


def test_a_band_that_is_only_just_missed_is_left_to_the_search(small):
    """Parameters come in steps: there is no network with a fraction more than the least."""
    four = small.smallest(width_3=2, depth_3=2)
    space = small.make_problem(networks=four)
    workloads = space.costing.workloads(space.network_space.enumerate())
    low = min(workload.parameters for workload in workloads)
    close = {"parameters": {"at_least": low + 0.01, "at_most": low + 0.02}}
    tight = small.make_problem(networks=four, constraints=close)
    assert nearest_design(tight, 0).miss > 0.0
    check_bounds(tight, 0)
    gap = {"parameters": {"at_least": 0.7 * low, "at_most": 0.8 * low}}
    apart = small.make_problem(networks=four, constraints=gap)
    assert ".at_most = " in complaint(apart)
    assert "the nearest found over " in complaint(apart)


def test_it_looks_beyond_its_sample(small):
    """The fastest pair of a space of millions is no draw: steps from the best draws find it."""
    problem = small.make_problem(hardware={})
    rng = np.random.default_rng(5)
    networks = problem.network_space.sample(rng, 64)
    hardware = problem.costing.hardware[rng.permutation(len(problem.costing.hardware))[:1024]]
    energy = problem.costing.cross(networks, hardware)["energy_uj"]
    bound = {"energy_uj": {"at_most": float(energy[np.isfinite(energy)].min()) * 0.5}}
    found = nearest_design(small.make_problem(hardware={}, constraints=bound), 0)
    assert found.miss == 0.0
    assert found.costs["energy_uj"] <= bound["energy_uj"]["at_most"]


def test_one_design_is_a_space_too(small):
    one = {name: values[:1] for name, values in small.hardware.items()} | {"bits": [8]}
    fits = small.make_problem(networks=small.smallest(), hardware=one)
    check_bounds(fits, 0)
    narrow = {"area_mm2": {"at_most": 1e-3}}
    tight = small.make_problem(networks=small.smallest(), hardware=one, constraints=narrow)
    assert "the least found over" in complaint(tight)
