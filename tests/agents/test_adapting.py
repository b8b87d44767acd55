"""Searches that change their phase: what is proposed in each, and what a kill leaves of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from archwright.agents.focus import near
from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.phases import WIDEN, phases_of

pytestmark = pytest.mark.usefixtures("little_evolution")

BUDGET = {"evaluations": 18}
WIDE = {"width_1": 3, "width_2": 3, "width_3": 3, "depth_2": 3, "resolution": 3, "kernel_2": 2}


@pytest.fixture
def search(small, tmp_path):
    """``search(folder, instrument fields, **brief)``: one more process at a search."""

    def build(folder: str = "run", instrument: Any = None, **brief: Any) -> Any:
        (tmp_path / folder).mkdir(exist_ok=True)
        made = small.Instrument(**(instrument or {}))
        spaces = {"networks": small.smallest(**WIDE)}
        return small.Search(tmp_path / folder, made, **{"budget": BUDGET, **spaces, **brief})

    return build


def test_a_search_goes_through_the_phases(search, small, monkeypatch):
    """Where no gain is enough: every phase, its networks where it says, all in the log."""
    monkeypatch.setattr("archwright.agents.planner.STALL_GAIN", 1e6)
    monkeypatch.setattr("archwright.agents.planner.STALL_ROUNDS", 2)
    running = search(search={"strategy": "random"})
    result = running.go()
    changes = [(note[0], note[3]) for note in running.notes if note[1] == "planner"]
    phases = [(0, "opening"), (1, "explore"), (3, "refine"), (5, "widen"), (7, "explore")]
    assert changes == [*((step, f"phase {name}") for step, name in phases), (8, "stop")]
    refined = next(note[4] for note in running.notes if note[3] == "phase refine")
    assert "only networks within 3 of 14 choices of the front" in refined

    proposers = {p.step: p.design.origin.proposer for p in result.proposals}
    other = phases_of(running.brief)[WIDEN.name].strategy
    strategies = ["spread", *["random"] * 4, other, other, "random"]
    assert proposers == {step: f"rules/{name}" for step, name in enumerate(strategies)}

    problem = small.make_problem(networks=running.spaces["networks"])
    for step in (3, 4):
        frontier = Frontier(problem, Pairings(problem))
        frontier.add([e for e in result.history.evaluated if e.step < step])
        front = np.stack([point.evaluated.row for point in frontier.points()])
        rows = [p.design.network for p in result.proposals if p.step == step]
        assert rows
        assert near(problem.network_space.encode(rows), front, 3).all()

    events = [json.loads(line) for line in (running.folder / "events.jsonl").open()]
    went_on = [(row["step"], row["decision"]) for row in events if row["kind"] == "plan"]
    assert went_on == [(2, "go on: explore"), (4, "go on: refine"), (6, "go on: widen")]
    assert all("a round ago" in row["reason"] for row in events if row["kind"] == "plan")


def test_a_search_stops_where_a_round_no_longer_pays_and_a_kill_changes_nothing(search, small):
    """The sums of what was expected are read from the archive: a resumed run knows them too."""
    few: dict[str, Any] = {"search": {"patience": 1}, "budget": {"evaluations": 100}}
    few["networks"] = small.smallest(width_3=4, width_2=2, resolution=3, depth_3=3)
    straight = search("straight", **few).go()
    assert straight.state["stop"].startswith("the last round neither gained nor expected")
    assert straight.spent < 72
    gains = straight.state["expected_gains"]
    assert len(gains) == len(straight.state["hypervolumes"]) == straight.state["step"]
    assert gains[0] is None  # the opening's strategy does not know
    assert all(gain is not None and gain >= 0.0 for gain in gains[1:])
    killed = search(instrument={"interrupt_at": straight.spent - 3}, **few)
    with pytest.raises(KeyboardInterrupt):
        killed.go()
    resumed = search(**few).go()
    assert resumed.front == straight.front
    states = [{**result.state, "seconds": 0} for result in (resumed, straight)]
    assert states[0] == states[1]


@pytest.mark.parametrize("objectives", [("accuracy",), ("area_mm2",)])
def test_one_objective_is_searched_to_its_end(search, objectives):
    result = search(objectives=objectives, search={"patience": 2}).go()
    assert result.state["stop"]
    assert len(result.front) == 1
    if objectives == ("accuracy",):
        accuracies = {e.key: e.accuracy for e in result.history.evaluated}
        assert accuracies[result.front[0][0]] == max(accuracies.values())


@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "latency_ms"), ("area_mm2",)])
def test_a_space_of_one_design_is_searched_to_its_end(search, small, objectives):
    one = {name: values[:1] for name, values in small.hardware.items()} | {"bits": [8]}
    result = search(objectives=objectives, networks=small.smallest(), hardware=one).go()
    assert result.state["stop"] == "no untried network that the brief allows is left"
    assert result.spent == len(result.front) == 1
