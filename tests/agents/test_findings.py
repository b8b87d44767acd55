"""Lessons of a run: an effect that is there is found, and chance is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.lessons import FEWEST, findings


def told(problem, small, seed, n, accuracy):
    rows = problem.network_space.sample(np.random.default_rng(seed), n)
    return small.history_of(small.evaluate(problem, rows, accuracy=accuracy))


def by_size(small, network, effect=0.0):
    """Accuracy by size alone, with noise, and an effect of one kernel."""
    size = np.log10(small.workload_of(network).macs)
    noise = np.random.default_rng(int(small.workload_of(network).name, 16)).normal(0, 0.01)
    return float(np.clip(0.1 * size + effect * (network["kernel_3"] == 5) + noise, 0, 1))


@pytest.mark.parametrize("effect", [0.05, -0.05])
def test_an_effect_is_found_with_its_size_and_evidence(problem, small, effect):
    history = told(problem, small, 1, 40, lambda network: by_size(small, network, effect))
    found = findings(problem, history)
    assert [(f.choice, f.value) for f in found] == [("kernel_3", 5)]
    assert found[0].effect == pytest.approx(effect, abs=0.02)
    word = "raises" if effect > 0 else "lowers"
    assert found[0].claim == f"kernel_3 = 5 {word}"
    assert f"{word} accuracy by 0.0" in found[0].text
    column = problem.network_space.names.index("kernel_3")
    assert set(found[0].evidence) == {e.design for e in history.evaluated if e.row[column] == 1}


def test_chance_is_seldom_taken_for_an_effect(problem, small):
    wrong = [
        findings(problem, told(problem, small, seed, 40, lambda network: by_size(small, network)))
        for seed in range(20)
    ]
    assert sum(map(len, wrong)) <= 2


def test_too_few_networks_teach_nothing(problem, small):
    few = told(problem, small, 1, FEWEST - 1, lambda network: by_size(small, network, 0.3))
    assert findings(problem, few) == []


def test_equal_accuracies_teach_nothing(problem, small):
    assert findings(problem, told(problem, small, 1, 40, lambda network: 0.5)) == []


def test_networks_of_one_size_are_no_trouble(small):
    problem = small.make_problem(networks=small.smallest(resolution=4, kernel_1=2, bits=2))
    rows = np.repeat(problem.network_space.enumerate(), 2, axis=0)
    history = small.history_of(small.evaluate(problem, rows))
    assert all(np.isfinite(f.t) for f in findings(problem, history))
