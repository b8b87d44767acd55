"""Whole teams on a small table: by rules alone, and with each role's model as bad as can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from archwright.agents.frontier import Pairings
from archwright.agents.model.port import ModelPort
from archwright.space import point_hash
from archwright.tabular.crew import NOT_IN_THE_TABLE, Crew, TeamSearch, search_with_team
from archwright.tabular.problem import TabularProblem

EVALUATIONS = 20
Script = Callable[[Any, int], object]


@pytest.fixture(scope="module")
def pairings(tiny: TabularProblem) -> Pairings:
    return Pairings(tiny.problem)


@pytest.fixture
def search(
    tiny: TabularProblem, pairings: Pairings, port_to: Callable[..., Any]
) -> Callable[..., tuple[TeamSearch, dict[str, Any]]]:
    """``search(critic=script, ...)``: a search, and the server of each role that has a model."""

    def build(seed: int = 1, **scripts: Script) -> tuple[TeamSearch, dict[str, Any]]:
        ports: dict[str, ModelPort] = {}
        servers: dict[str, Any] = {}
        for role, script in scripts.items():
            ports[role], servers[role] = port_to(script, max_output_tokens=4096, max_retries=0)
        return search_with_team(tiny, pairings, Crew(**ports), EVALUATIONS, seed), servers

    return build


@pytest.fixture(scope="module")
def by_rules(tiny: TabularProblem, pairings: Pairings) -> TeamSearch:
    return search_with_team(tiny, pairings, Crew(), EVALUATIONS, 1)


def network(width: int) -> dict[str, str]:
    return {"width": str(width), "depth": "1", "rows": "plain", "bits": "8"}


def opening(*networks: dict[str, str]) -> dict[str, Any]:
    designs = [{"level": "tiny", "network": n, "rationale": "why"} for n in networks]
    return {"designs": designs}


def proposals(changes: list[dict[str, str]], most: int = 4) -> dict[str, Any]:
    listed = [{"candidate": k, "changes": changes, "rationale": "why"} for k in range(most)]
    return {"proposals": listed}


def opens(request: Any) -> bool:
    return "Nothing is measured yet" in request["messages"][1]["content"]


def invalid(request: Any, number: int) -> object:
    """Values that no choice has, candidates that are not there."""
    if opens(request):
        return opening({**network(8), "width": "1000"})
    return {"proposals": [{"candidate": 60, "changes": [], "rationale": "why"}] * 4}


def duplicate(request: Any, number: int) -> object:
    """One network again and again, then the optimiser's own batch as it is."""
    return opening(*[network(8)] * 3) if opens(request) else proposals([])


def dominated(request: Any, number: int) -> object:
    """The worst networks: large and inaccurate for what they cost."""
    if opens(request):
        return opening(*({**network(8), "depth": str(d)} for d in (1, 2, 3)))
    return proposals([{"choice": "width", "value": "8"}, {"choice": "bits", "value": "16"}])


def rejects_everything(request: Any, number: int) -> object:
    doubts = [{"position": k, "action": "send_back", "reason": "bad"} for k in range(32)]
    return {"doubts": doubts}


def stops_at_once(request: Any, number: int) -> object:
    return {"phase": "stop", "designs": 1, "reason": "enough"}


BAD: dict[str, dict[str, Script]] = {
    "invalid proposals": {"proposer": invalid},
    "duplicate proposals": {"proposer": duplicate},
    "dominated proposals": {"proposer": dominated},
    "a critic that rejects everything": {"critic": rejects_everything},
    "a planner that wants to stop": {"planner": stops_at_once},
    "all together": {
        "proposer": dominated,
        "critic": rejects_everything,
        "planner": stops_at_once,
    },
}


def decisions(found: TeamSearch) -> list[dict[str, Any]]:
    return [event for event in found.events if event["kind"] == "decision"]


def stop_of(found: TeamSearch) -> str:
    [stop] = [e["reason"] for e in decisions(found) if e["decision"] == "stop"]
    return str(stop)


def test_a_team_of_rules_spends_its_budget(by_rules: TeamSearch, tiny: TabularProblem) -> None:
    assert stop_of(by_rules) == f"the budget of {EVALUATIONS} evaluations is spent"
    assert len(by_rules.hypervolumes) == EVALUATIONS
    assert list(by_rules.hypervolumes) == sorted(by_rules.hypervolumes)
    assert 0.8 * tiny.true_hypervolume < by_rules.hypervolumes[-1] <= tiny.true_hypervolume + 1e-9
    measured = [e for e in by_rules.events if e["kind"] == "evaluated"]
    assert len(measured) == EVALUATIONS


def test_the_seed_decides(search: Callable[..., Any], by_rules: TeamSearch) -> None:
    assert search()[0].hypervolumes == by_rules.hypervolumes
    assert search(seed=2)[0].hypervolumes != by_rules.hypervolumes


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_model_ends_no_search_and_wastes_little(
    search: Callable[..., Any], by_rules: TeamSearch, bad: str
) -> None:
    found, servers = search(**BAD[bad])
    assert stop_of(found) == f"the budget of {EVALUATIONS} evaluations is spent"
    assert len(found.hypervolumes) == EVALUATIONS
    assert found.hypervolumes[-1] > 0.9 * by_rules.hypervolumes[-1]
    for role, server in servers.items():
        asked = [request.json["messages"][0]["content"] for request in server.requests]
        assert asked
        assert all(f"Role: {role}." in system for system in asked)


def test_refused_proposals_are_in_the_log_with_their_reasons(search: Callable[..., Any]) -> None:
    found, servers = search(proposer=duplicate)
    refused = [e for e in decisions(found) if e["decision"].startswith("refused")]
    assert refused
    assert "its network stands twice in the answer" in refused[0]["reason"]
    assert len(servers["proposer"].requests) % 2 == 0  # each complaint went back once
    shares = [advice.share for advice in found.advice]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.5 * shares[0]


def test_an_overruled_planner_and_critic_are_soon_not_asked(search: Callable[..., Any]) -> None:
    found, servers = search(planner=stops_at_once, critic=rejects_everything)
    assert len(servers["planner"].requests) == 3
    assert len(servers["critic"].requests) == 3
    overruled = [e for e in decisions(found) if e["decision"] == "overruled: stop"]
    assert len(overruled) == 3


def test_a_good_opening_is_evaluated_first(
    search: Callable[..., Any], tiny: TabularProblem, by_rules: TeamSearch
) -> None:
    """The best networks of the table, from someone who knows them."""
    space, known = tiny.problem.network_space, tiny.row_of
    points = tiny.problem.networks(tiny.networks)
    best = sorted(points, key=lambda point: -known[point_hash(point)]["accuracy"])[:4]
    wanted = [{name: str(point[name]) for name in space.names} for point in best]

    def script(request: Any, number: int) -> object:
        return opening(*wanted) if opens(request) else {"proposals": []}

    found, _ = search(proposer=script)
    origins = Counter(e["origin"] for e in found.events if e["kind"] == "evaluated")
    assert 1 <= origins["model/scripted"] <= 4
    first = {e["step"] for e in found.events if e.get("origin") == "model/scripted"}
    assert first == {0}


def test_what_the_table_does_not_hold_is_a_failure_and_costs_its_evaluation(
    tiny: TabularProblem, pairings: Pairings
) -> None:
    holes = dict(list(tiny.row_of.items())[::2])
    table = TabularProblem(tiny.name, tiny.problem, holes)
    found = search_with_team(table, pairings, Crew(), EVALUATIONS, 1)
    failed = [e for e in found.events if e["kind"] == "evaluated" and "why" in e]
    assert failed
    assert {e["why"] for e in failed} == {NOT_IN_THE_TABLE}
    assert len(found.hypervolumes) + len(failed) == EVALUATIONS
