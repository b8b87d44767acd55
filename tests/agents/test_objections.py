"""What the rules make of objections: bounds on named costs, and a distance to what was rejected."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.objections import NEAR, against, bounded, understand, variants
from archwright.agents.planner import EXPLORE, OPENING
from archwright.agents.problem import History
from archwright.agents.proposer import Request, RuleBasedProposer
from archwright.agents.recollection import RecalledDesign
from archwright.agents.strategies.common import network_keys
from archwright.design import Design, Origin


@pytest.fixture
def rejected(small, problem):
    """``rejected(reason, share)``: a design at that share of the range of each choice."""

    def build(reason: str, share: float = 0.5) -> tuple[Design, str]:
        row = np.rint(share * (np.array(problem.network_space.shape) - 1)).astype(np.int64)
        return small.designs_of(problem, [row])[0], reason

    return build


def cost(problem, design, metric):
    rows = problem.network_space.encode([design.network])
    hardware = problem.hardware_space.encode([design.hardware])
    return float(problem.costing.zip(rows, hardware)[metric][0])


@pytest.mark.parametrize(
    ("reason", "metric"),
    [
        ("too slow", "latency_ms"),
        ("Too SLOW!", "latency_ms"),
        ("far too large for the board", "area_mm2"),
        ("area and power", "area_mm2"),
        ("runs hot", "power_mw"),
        ("drains the battery", "energy_uj"),
        ("needs too much memory", "memory_kib"),
        ("too many weights", "parameters"),
        ("slowly I lose patience", None),
        ("I do not like it", None),
        ("", None),
    ],
)
def test_a_reason_names_a_cost_or_none(rejected, reason, metric):
    assert [o.metric for o in understand([rejected(reason)])] == [metric]


@pytest.mark.parametrize("metric", ["latency_ms", "area_mm2", "energy_uj", "parameters"])
def test_what_is_within_the_bounds_costs_less_than_what_was_rejected(
    small, problem, rejected, metric
):
    word = {"latency_ms": "slow", "area_mm2": "large", "energy_uj": "energy"}.get(metric, metric)
    objections = understand([rejected(f"too {word}", 0.8), rejected(f"too {word}", 0.4)])
    limits = [cost(problem, o.design, metric) for o in objections]
    tight = bounded(problem, objections)
    assert tight.constraints[metric].at_most < min(limits)
    rng = np.random.default_rng(0)
    networks = problem.network_space.sample(rng, 200)
    costs = problem.costing.zip(networks, problem.hardware_space.sample(rng, 200))
    assert (tight.affordable(costs) == (costs[metric] < min(limits))).all()
    rows = problem.network_space.encode([o.design.network for o in objections])
    hardware = problem.hardware_space.encode([o.design.hardware for o in objections])
    assert not tight.affordable(problem.costing.zip(rows, hardware)).all()


def test_a_bound_of_the_brief_that_is_tighter_stays(small, rejected):
    tight = small.make_problem(constraints={"latency_ms": {"at_most": 1e-6, "at_least": 1e-9}})
    known = bounded(tight, understand([rejected("too slow")])).constraints["latency_ms"]
    assert (known.at_most, known.at_least) == (1e-6, 1e-9)


def test_variants_are_all_networks_that_differ_in_few_choices(problem, rejected):
    objections = understand([rejected("no", 0.3)])
    space = problem.network_space
    row = space.encode([objections[0].design.network])[0]
    keys = variants(problem, objections)
    rng = np.random.default_rng(1)
    for differing in (0, 1, NEAR, NEAR + 1, NEAR + 4):
        changed = row.copy()
        free = [c for c, n in enumerate(space.shape) if n > 1]
        for place in rng.choice(free, differing, replace=False):
            changed[place] = (changed[place] + 1) % space.shape[place]
        assert (network_keys(space, changed[None])[0] in keys) == (differing <= NEAR)


def test_what_speaks_against_a_design(small, problem, rejected):
    objections = understand([rejected("too slow", 0.5)])
    top = np.array(problem.network_space.shape) - 1
    largest, smallest = small.designs_of(problem, [top, np.zeros_like(top)])
    assert against(problem, objections, largest)
    assert against(problem, objections, objections[0].design)
    assert not against(problem, objections, smallest)
    assert not against(problem, [], largest)
    elsewhere = Design({"other": 1}, {}, Origin("test", "another space"))
    assert not against(problem, objections, elsewhere)


def test_designs_of_another_space_bound_nothing(problem):
    objections = understand([(Design({"other": 1}, {}, Origin("x", "y")), "too slow")])
    assert bounded(problem, objections).constraints == problem.constraints
    assert variants(problem, objections) == frozenset()


# The proposer


def request(problem, phase, history, **fields):
    frontier = Frontier(problem, Pairings(problem))
    frontier.add(history.evaluated)
    return Request(1, 0, phase, 4, history, frontier, **fields)


@pytest.mark.parametrize("phase", [OPENING, EXPLORE])
@pytest.mark.parametrize("share", [0.9, 0.4])
def test_proposals_heed_objections(
    small, problem, pairings, rejected, little_evolution, phase, share
):
    rng = np.random.default_rng(4)
    history = small.history_of(small.evaluate(problem, problem.network_space.sample(rng, 12)))
    objected = [rejected("too slow", share), rejected("dull", 0.2)]
    recalled = (RecalledDesign("past", "run-0", objected[0][0].network, 0.9),)
    proposer = RuleBasedProposer(problem, pairings, 3)
    asked = request(problem, phase, history, objections=tuple(objected), recalled=recalled)
    batch = proposer.propose(asked)
    assert len(batch) == 4
    limit = cost(problem, objected[0][0], "latency_ms")
    for design in batch:
        assert cost(problem, design, "latency_ms") < limit
        for other, _ in objected:
            different = [k for k, v in design.network.items() if other.network[k] != v]
            assert len(different) > NEAR
        assert "what you rejected (too slow, dull)" in design.origin.reason
    assert proposer.propose(asked) == batch, "the same request gives the same batch"


def test_where_nothing_costs_less_it_says_so(small, problem, pairings):
    space = problem.network_space
    smallest = np.zeros(len(space.shape), dtype=np.int64)
    pairing = Pairings(problem).of(smallest)
    best = int(np.argmin(pairing.costs["latency_ms"]))
    fastest = problem.hardware_space.decode(pairing.hardware[best][None])[0]
    objected = (small.designs_of(problem, [smallest], fastest)[0], "too slow")
    asked = request(problem, OPENING, History(), objections=(objected,))
    batch = RuleBasedProposer(problem, pairings, 3).propose(asked)
    assert len(batch) == 4
    assert all("nothing costs less than what you rejected" in d.origin.reason for d in batch)
    assert all(d.network_key != objected[0].network_key for d in batch)


def test_without_objections_nothing_changes(problem, pairings):
    plain = RuleBasedProposer(problem, pairings, 3).propose(request(problem, OPENING, History()))
    assert len(plain) == 4
    assert not any("rejected" in design.origin.reason for design in plain)
