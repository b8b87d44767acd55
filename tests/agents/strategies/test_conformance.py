"""What every strategy must do, on problems from the ordinary to the degenerate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.problem import History, Problem, Suggestion
from archwright.agents.strategies import STRATEGIES, make_strategy
from archwright.agents.strategies.common import network_keys

FIXED_HARDWARE = {
    "rows": [8], "columns": [8], "dataflow": ["ws"], "input_buffer_kib": [8],
    "weight_buffer_kib": [8], "output_buffer_kib": [8], "dram_gb_per_s": [1.0],
    "clock_mhz": [200], "bits": [16],
}  # fmt: skip

PROBLEMS: dict[str, dict[str, Any]] = {
    "three objectives": {},
    "two objectives": {"objectives": ("accuracy", "area_mm2")},
    "accuracy only": {"objectives": ("accuracy",)},
    "cost only": {"objectives": ("energy_uj",)},
    "cost only, accurate": {
        "objectives": ("energy_uj",),
        "constraints": {"accuracy": {"at_least": 0.8}},
    },
    "bounded costs": {
        "constraints": {"latency_ms": {"at_most": 0.05}, "energy_uj": {"at_most": 3.0}}
    },
    "fixed hardware": {"hardware": FIXED_HARDWARE},
    "sampled hardware": {"exhaustive": 16},
    "impossible accuracy": {"constraints": {"accuracy": {"at_least": 1.0}}},
}

pytestmark = [
    pytest.mark.parametrize("name", STRATEGIES),
    pytest.mark.usefixtures("little_evolution"),
]


@pytest.fixture(scope="module", params=PROBLEMS)
def case(request: pytest.FixtureRequest, small: Any) -> tuple[Problem, Pairings]:
    problem = small.make_problem(**PROBLEMS[request.param])
    return problem, Pairings(problem)


@pytest.fixture(scope="module")
def told(case: tuple[Problem, Pairings], small: Any) -> History:
    """A dozen networks measured, and as many failed."""
    space = case[0].network_space
    rows = space.sample(np.random.default_rng(5), 24)
    return small.history_of(small.evaluate(case[0], rows[:12]), network_keys(space, rows[12:]))


def ask(
    name: str, case: tuple[Problem, Pairings], told: History, n: int, seed: tuple[int, ...] = (1, 2)
) -> list[Suggestion]:
    strategy = make_strategy(name, *case, seed)
    assert strategy.name == name
    strategy.tell(told)
    return strategy.ask(n)


def plain(suggestions: list[Suggestion]) -> list[Any]:
    return [(s.network.tolist(), s.hardware.tolist(), s.reason, s.parents) for s in suggestions]


@pytest.mark.parametrize("known", [True, False])
def test_a_batch_keeps_the_contract(name, case, told, known):
    problem, _ = case
    history = told if known else History()
    batch = ask(name, case, history, 6)
    assert len(batch) == 6
    networks = np.stack([s.network for s in batch])
    hardware = np.stack([s.hardware for s in batch])
    for space, rows in ((problem.network_space, networks), (problem.hardware_space, hardware)):
        assert rows.dtype == np.int64
        assert (rows >= 0).all()
        assert (rows < np.array(space.shape)).all()
    keys = network_keys(problem.network_space, networks)
    assert len(set(keys)) == 6
    assert not set(keys) & history.tried
    assert problem.affordable(problem.costing.zip(networks, hardware)).all()
    parents = {parent for s in batch for parent in s.parents}
    assert parents <= {e.design for e in history.evaluated}
    assert all(s.reason for s in batch)


def test_the_seed_and_the_history_decide(name, case, told):
    first = plain(ask(name, case, told, 4))
    # A new instance with pairings of its own, as after a resume; the set in another order.
    again = History(told.evaluated, frozenset(sorted(told.tried, reverse=True)))
    assert plain(ask(name, (case[0], Pairings(case[0])), again, 4)) == first


def test_another_seed_is_another_batch(name, problem, pairings):
    seeds = [plain(ask(name, (problem, pairings), History(), 4, (seed, 0))) for seed in (1, 2)]
    assert seeds[0] != seeds[1]


def test_global_randomness_is_neither_used_nor_touched(name, problem, pairings, small):
    rows = problem.network_space.sample(np.random.default_rng(5), 12)
    told = small.history_of(small.evaluate(problem, rows))
    np.random.seed(1)  # noqa: NPY002 - the global state is what is under test
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = plain(ask(name, (problem, pairings), told, 4))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert plain(ask(name, (problem, pairings), told, 4)) == first


@pytest.mark.parametrize("known_whole", [True, False])
@pytest.mark.parametrize("hardware", [None, FIXED_HARDWARE])
def test_tiny_spaces_are_used_up(name, small, hardware, known_whole, monkeypatch):
    if not known_whole:  # as with the default hardware space, too large to pair with beforehand
        monkeypatch.setattr("archwright.agents.catalogue.ENUMERABLE_PAIRS", 0)
    problem = small.make_problem(networks=small.smallest(), hardware=hardware)
    case = problem, Pairings(problem)
    assert len(ask(name, case, History(), 3)) == 1
    only = small.evaluate(problem, problem.network_space.enumerate())
    assert ask(name, case, small.history_of(only), 3) == []

    six = small.smallest(resolution=3, depth_3=2)
    problem = small.make_problem(networks=six, hardware=hardware)
    case = problem, Pairings(problem)
    rows = problem.network_space.enumerate()
    for known in (1, 4, 5, 6):
        told = small.history_of(small.evaluate(problem, rows[:known]))
        left = ask(name, case, told, 10)
        assert len(left) == 6 - known
        assert {tuple(s.network) for s in left} == {tuple(row) for row in rows[known:]}
    nothing_worked = History((), frozenset(network_keys(problem.network_space, rows)))
    assert ask(name, case, nothing_worked, 10) == []


def test_the_few_affordable_networks_are_found(name, small):
    networks = small.smallest(width_3=4, width_2=4)
    energies = small.make_problem(("energy_uj",), networks)
    rows = energies.network_space.enumerate()
    least = np.sort([p.costs["energy_uj"].min() for p in map(Pairings(energies).of, rows)])
    bound = {"energy_uj": {"at_most": float(least[4])}}
    problem = small.make_problem(networks=networks, constraints=bound)
    batch = ask(name, (problem, Pairings(problem)), History(), 9)
    assert len(batch) == 5


@pytest.mark.parametrize("accuracy", [0.5, 0.0, 1.0])
def test_equal_accuracies_are_no_trouble(name, problem, pairings, small, accuracy):
    rows = problem.network_space.sample(np.random.default_rng(7), 8)
    told = small.history_of(small.evaluate(problem, rows, accuracy=lambda network: accuracy))
    with np.errstate(all="raise", under="ignore"):
        assert len(ask(name, (problem, pairings), told, 4)) == 4


def test_no_network_is_affordable(name, small):
    bound = {"latency_ms": {"at_most": 1e-9}}
    six = small.smallest(resolution=3, depth_3=2)
    problem = small.make_problem(networks=six, constraints=bound)
    assert ask(name, (problem, Pairings(problem)), History(), 4) == []
    told = small.history_of(small.evaluate(problem, problem.network_space.enumerate()[:5]))
    assert ask(name, (problem, Pairings(problem)), told, 4) == []


def test_a_space_too_large_to_enumerate_is_given_up(name, small, monkeypatch):
    monkeypatch.setattr("archwright.agents.strategies.random_search.PATIENCE", 20)
    problem = small.make_problem(constraints={"latency_ms": {"at_most": 1e-9}})
    assert ask(name, (problem, Pairings(problem)), History(), 4) == []


@pytest.mark.slow
def test_a_search_in_which_many_fail_uses_its_space_up(name, small):
    problem = small.make_problem(
        networks=small.smallest(width_3=3, width_2=3, depth_2=2, resolution=3)
    )
    case = problem, Pairings(problem)
    told = History()
    for step in range(10):
        batch = ask(name, case, told, 6, (0, step, 0))
        fresh = small.evaluate(problem, [s.network for s in batch], step)
        assert not {e.key for e in fresh} & told.tried
        worked = [e for e in fresh if int(e.key, 16) % 10 >= 3]
        assert {p for s in batch for p in s.parents} <= {e.design for e in told.evaluated}
        told = History((*told.evaluated, *worked), told.tried | {e.key for e in fresh})
    assert len(told.tried) == problem.network_space.size == 54
    assert 30 < len(told.evaluated) < 46
    frontier = Frontier(*case)
    frontier.add(told.evaluated)
    assert frontier.hypervolume > 0


@pytest.mark.parametrize("metrics", [("error",), ("error", "delay"), ("error", "delay", "area")])
def test_a_search_in_which_every_metric_is_learned(name, small, metrics):
    problem, measure = small.make_black_box(metrics)
    case = problem, Pairings(problem)
    told = History()
    for step in range(4):
        batch = ask(name, case, told, 6, (0, step, 0))
        fresh = measure([s.network for s in batch], step)
        assert len({e.key for e in fresh} - told.tried) == 6
        assert all(s.hardware.tolist() == [0] for s in batch)
        worked = [e for e in fresh if int(e.key, 16) % 10 >= 3]
        told = History((*told.evaluated, *worked), told.tried | {e.key for e in fresh})
    first = plain(ask(name, case, told, 4))
    assert plain(ask(name, (problem, Pairings(problem)), told, 4)) == first


def test_a_space_of_one_network_in_which_every_metric_is_learned(name, small):
    problem, measure = small.make_black_box(("error", "delay"), size=1, operators=("skip",))
    case = problem, Pairings(problem)
    batch = ask(name, case, History(), 3)
    assert [s.network.tolist() for s in batch] == [[0, 0, 0, 0]]
    assert ask(name, case, small.history_of(measure([batch[0].network])), 3) == []
