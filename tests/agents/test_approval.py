"""Approval before evaluation: whole searches over the table that wait for the user's word."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import scripted

from archwright.agents.approval import EDITS
from archwright.agents.frontier import Pairings
from archwright.agents.hybrid.notebook import PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.objections import NEAR
from archwright.design import Design, Origin
from archwright.memory.records import Verdict

EVALUATIONS = 8


@pytest.fixture(autouse=True)
def _quick(little_evolution: None) -> None:
    """How good the proposals are is not asked here."""


@pytest.fixture
def search(small, tmp_path):
    """``search(**brief)``: one more process at this test's search, which asks for approval."""

    def build(folder: str = "run", instrument: Any = None, **brief: Any) -> Any:
        (tmp_path / folder).mkdir(exist_ok=True)
        settings = {"budget": {"evaluations": EVALUATIONS}, "approval": True, **brief}
        return small.Search(tmp_path / folder, instrument or small.Instrument(), **settings)

    return build


def approve_all(search: Any, folder: str = "run", **brief: Any) -> Any:
    """Go on until the search ends, approving every batch; its last result."""
    result = search(folder, **brief).go()
    while not result.state["stop"]:
        search(folder, **brief).say()
        result = search(folder, **brief).go()
    return result


def networks(designs: Any) -> set[str]:
    return {design.network_key for design in designs}


def evaluated(result: Any) -> set[str]:
    return {e.key for e in result.history.evaluated}


def cost(problem: Any, design: Design, metric: str) -> float:
    rows = problem.network_space.encode([design.network])
    hardware = problem.hardware_space.encode([design.hardware])
    return float(problem.costing.zip(rows, hardware)[metric][0])


def test_nothing_is_measured_before_the_word(search):
    first = search()
    result = first.go()
    assert result.state["stop"] == ""
    assert result.spent == 0 == len(first.instrument.measured)
    assert result.designs == []
    step, attempt, designs = first.waiting()
    assert (step, attempt) == (0, 0)
    assert [d.key for d in designs] == result.state["accepted"]
    assert len(designs) == 4


def test_it_waits_on_however_often_it_is_started(search):
    before = search()
    before.go()
    waiting = before.waiting()
    again = search()
    assert again.go().state["stop"] == ""
    assert again.waiting() == waiting
    assert again.instrument.measured == []


def test_with_all_approved_it_is_the_search_without_approval(search):
    """Where the critic accepts enough, the words change nothing."""
    approved = approve_all(search)
    free = search("free", approval=False).go()
    assert approved.state["stop"] == f"the budget of {EVALUATIONS} evaluations is spent"
    assert approved.front == free.front
    assert evaluated(approved) == evaluated(free)
    assert approved.state["hypervolumes"] == free.state["hypervolumes"]


def test_a_finished_search_waits_for_nothing(search):
    approve_all(search)
    assert search().waiting() is None


def test_what_was_rejected_is_never_evaluated_nor_proposed_again(search):
    search().go()
    rejected = search().waiting()[2][:2]
    search().say(rejected={d.key: "ugly" for d in rejected})
    asked_again = search()
    assert asked_again.go().state["stop"] == ""
    step, attempt, replacements = asked_again.waiting()
    assert (step, attempt) == (0, 1)
    assert len(replacements) == len(rejected)
    for design in replacements:
        assert "(ugly)" in design.origin.reason
        for other in rejected:
            assert sum(other.network[k] != v for k, v in design.network.items()) > NEAR
    result = approve_all(search)
    assert networks(rejected).isdisjoint(evaluated(result))
    proposed = Counter(p.design.network_key for p in result.proposals)
    assert {proposed[key] for key in networks(rejected)} == {1}
    assert networks(rejected) <= result.history.tried
    assert result.spent == EVALUATIONS


@pytest.mark.parametrize(
    ("reason", "metric"), [("too slow", "latency_ms"), ("too large", "area_mm2")]
)
def test_a_named_cost_stays_below_the_rejected_one(search, problem, reason, metric):
    search().go()
    waiting = search().waiting()[2]
    limits = sorted(cost(problem, d, metric) for d in waiting)
    rejected = [d for d in waiting if cost(problem, d, metric) >= limits[2]]
    search().say(rejected={d.key: reason for d in rejected})
    last = search()
    seen: list[Design] = []
    while not last.go().state["stop"]:
        seen += last.waiting()[2]
        last.say()
        last = search()
    assert len(seen) >= 4
    assert max(cost(problem, d, metric) for d in seen) < limits[2]


def test_an_edited_design_is_evaluated_in_its_place(search, problem):
    search().go()
    first, second = search().waiting()[2][:2]
    width = problem.network_space.choices[3]
    other = next(v for v in width.values if v != first.network[width.name])
    as_float = {k: float(v) if isinstance(v, int) else v for k, v in first.network.items()}
    edit = Design({**as_float, width.name: other}, first.hardware, Origin("x", "y"))
    bandwidth = next(v for v in (1.0, 4.0) if v != second.hardware["dram_gb_per_s"])
    faster = Design(second.network, {**second.hardware, "dram_gb_per_s": bandwidth}, edit.origin)
    search().say(edited={first.key: edit, second.key: faster})
    running = search()
    result = running.go()
    assert edit.network_key in evaluated(result)
    assert second.network_key in evaluated(result), "the same network on other hardware"
    assert first.network_key not in evaluated(result)
    origins = dict(result.designs)
    assert origins[edit.key].proposer == origins[faster.key].proposer == "user"
    assert origins[edit.key].parents == (first.key,)
    stored = next(p.design for p in result.proposals if p.design.key == edit.key)
    assert [type(v) for v in stored.network.values()] == [type(v) for v in first.network.values()]
    assert result.spent == 4
    assert (f"edited {first.key}", "evaluated with other choices") in [
        words[3:] for words in running.notes
    ]


def test_an_edit_that_cannot_be_is_refused_with_its_reason(search):
    search().go()
    first, second, third = search().waiting()[2][:3]
    outside = Design({**first.network, "depth_1": 99}, first.hardware, Origin("x", "y"))
    known = Design(third.network, second.hardware, Origin("x", "y"))
    search().say(edited={first.key: outside, second.key: known})
    running = search()
    result = running.go()
    refused = [words[3:] for words in running.notes if words[3].startswith("refused")]
    assert refused == [
        (f"refused your edit of {first.key}", "network outside the space"),
        (f"refused your edit of {second.key}", "network already tried"),
    ]
    reviews = [p.review.verdict for p in result.proposals if p.attempt >= EDITS]
    assert reviews == [Verdict.REJECT, Verdict.REJECT]
    # What could not be is made up for by another attempt, which waits as well.
    assert search().waiting()[:2] == (0, 1)
    assert networks([first, second]).isdisjoint(networks(search().waiting()[2]))


def test_a_second_attempt_does_not_propose_an_edited_network(search, small):
    """In a space of six networks: four wait, one is edited into the fifth, one is rejected."""
    space = {"networks": small.smallest(resolution=3, depth_3=2)}
    search(**space).go()
    waiting = search(**space).waiting()[2]
    every = [
        {**waiting[0].network, "resolution": r, "depth_3": d} for r in (6, 7, 8) for d in (1, 2, 3)
    ]
    problem = small.make_problem(**space)
    inside = [n for n in every if _fits(problem, n)]
    new = next(
        n for n in inside if Design(n, {}, waiting[0].origin).network_key not in networks(waiting)
    )
    edit = Design(new, waiting[0].hardware, waiting[0].origin)
    search(**space).say(edited={waiting[0].key: edit}, rejected={waiting[1].key: "no"})
    result = search(**space).go()
    while not result.state["stop"]:
        assert edit.network_key not in networks(search(**space).waiting()[2])
        search(**space).say()
        result = search(**space).go()
    assert len(result.history.evaluated) == len(evaluated(result)) <= 5
    assert edit.network_key in evaluated(result)


def _fits(problem: Any, network: Any) -> bool:
    from archwright.agents.problem import fits

    return fits(problem.network_space, network)


def test_killed_between_word_and_evaluation_nothing_is_lost(search, small):
    search().go()
    rejected = search().waiting()[2][0]
    search().say(rejected={rejected.key: "too slow"})  # killed before anything goes on
    search().go()
    search().say()
    killed = search(instrument=small.Instrument(interrupt_at=1))
    with pytest.raises(KeyboardInterrupt):
        killed.go()
    finished = approve_all(search)

    straight = search("straight")
    straight.go()
    straight.say(rejected={rejected.key: "too slow"})
    expected = approve_all(search, "straight")
    assert finished.front == expected.front
    assert evaluated(finished) == evaluated(expected)
    assert finished.spent == EVALUATIONS


def test_without_its_checkpoint_the_words_still_hold(search, tmp_path):
    search().go()
    rejected = search().waiting()[2][0]
    search().say(rejected={rejected.key: "no"})
    search().go()
    for file in (tmp_path / "run").glob("checkpoint.db*"):
        file.unlink()
    waiting = search().waiting()
    search().go()
    assert search().waiting() == waiting
    assert rejected.network_key not in networks(waiting[2])


def test_the_second_word_for_a_batch_changes_nothing(search):
    from archwright.agents.approval import give_word, make_word
    from archwright.memory.archive import Archive

    search().go()
    designs = search().waiting()[2]
    search().say(rejected={designs[0].key: "no"})
    assert search().waiting() is None
    with Archive(search().folder / "archive.db") as archive:
        give_word(archive, "run", 0, 0, make_word({designs[1].key: "neither"}, {}))
    search().go()
    result = approve_all(search)
    assert designs[0].network_key not in evaluated(result)
    assert designs[1].network_key in evaluated(result)


@pytest.mark.slow
def test_a_user_who_rejects_everything_does_not_end_the_search(search):
    """Rounds that are empty by the user's word are not a space that is exhausted."""
    for _ in range(5):
        running = search()
        assert running.go().state["stop"] == ""
        running.say(rejected={d.key: "no" for d in running.waiting()[2]})
    result = approve_all(search)
    assert result.state["stop"] == f"the budget of {EVALUATIONS} evaluations is spent"
    assert result.spent == EVALUATIONS


def test_a_model_sees_objections_and_notes(search, port_to):
    prompts: list[str] = []

    def script(request: Any, number: int) -> object:
        prompts.append(request["messages"][1]["content"])
        return scripted.fitting(request, number, "bold")

    port, _ = port_to(script)
    notebook = PlainNotebook()
    minds = {
        "proposer": lambda rules, problem, note: ModelProposer(
            rules, problem, Pairings(problem), port, note, notebook
        )
    }
    running = search(minds=minds)
    running.go()
    rejected = running.waiting()[2][-1]
    running.say(rejected={rejected.key: "too slow"}, note="prefer\nsmall kernels")
    running = search(minds=minds)
    result = running.go()
    while len(prompts) < 2 and not result.state["stop"]:
        running.say()
        running = search(minds=minds)
        result = running.go()
    network = " ".join(map(str, rejected.network.values()))
    assert re.search(rf'"{network} [^"]*: too slow"', prompts[-1])
    assert "prefer small kernels" in prompts[-1]
    assert "prefer small kernels" not in prompts[0]
