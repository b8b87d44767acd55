"""The planner: phases, stalls and stops by rule, and what little of it a model may choose."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.planner import (
    EXPLORE,
    LARGEST_ROUND,
    OPENING,
    REFINE,
    ChangePhase,
    Continue,
    ModelPlanner,
    Progress,
    RuleBasedPlanner,
    Stop,
    opening_size,
    round_size,
)
from archwright.brief import parse_brief

RISING = (0.1, 0.2, 0.3, 0.4, 0.5)
FLAT = (0.1, 0.5, 0.5, 0.5, 0.5)
START = Progress(0, "", 0, 0, 0.0, 0, ())
EXPLORING = Progress(5, "explore", 4, 50, 60.0, 0, RISING)


def brief(evaluations=96, hours=1.0):
    return parse_brief(
        {
            "name": "plan",
            "task": {"data": "digits"},
            "objectives": {"accuracy": "maximise", "energy_uj": "minimise"},
            "budget": {"evaluations": evaluations, "hours": hours},
        }
    )


def plan(progress, **budget):
    return RuleBasedPlanner().next(brief(**budget), progress)


def test_a_run_opens_explores_and_refines():
    opening = plan(START)
    assert opening == ChangePhase(OPENING, 16, OPENING.meaning)
    assert plan(replace(START, phase="opening", evaluations=10)).designs == 6
    explore = plan(replace(START, phase="opening", evaluations=16))
    assert isinstance(explore, ChangePhase)
    assert explore.phase == EXPLORE
    assert plan(EXPLORING) == Continue(8, EXPLORE.meaning)
    refine = plan(replace(EXPLORING, hypervolumes=FLAT))
    assert isinstance(refine, ChangePhase)
    assert refine.phase == REFINE
    back = plan(replace(EXPLORING, phase="refine", hypervolumes=FLAT))
    assert isinstance(back, ChangePhase)
    assert back.phase == EXPLORE


def test_a_phase_has_its_rounds_before_it_stalls():
    assert isinstance(plan(replace(EXPLORING, rounds_in_phase=2, hypervolumes=FLAT)), Continue)
    assert isinstance(plan(replace(EXPLORING, hypervolumes=FLAT[-3:])), Continue)
    nothing_feasible = replace(EXPLORING, hypervolumes=(0.0,) * 6)
    assert isinstance(plan(nothing_feasible), ChangePhase)


def test_an_opening_that_finds_nothing_more_ends():
    assert isinstance(plan(replace(START, phase="opening", empty_rounds=1)), ChangePhase)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"evaluations": 96}, "96 evaluations is spent"),
        ({"evaluations": 97}, "96 evaluations is spent"),
        ({"seconds": 3600.0}, "1 hours is spent"),
        ({"empty_rounds": 2}, "no untried network"),
    ],
)
def test_it_stops_when_a_budget_is_spent_or_the_space_is_exhausted(change, words):
    stop = plan(replace(EXPLORING, **change))
    assert isinstance(stop, Stop)
    assert words in stop.reason


@given(st.integers(1, 100_000), st.integers(0, 100_000), st.sampled_from(["", *"oer"]))
def test_a_round_never_exceeds_the_budget(evaluations, spent, letter):
    phase = {"": "", "o": "opening", "e": "explore", "r": "refine"}[letter]
    progress = replace(EXPLORING, phase=phase, evaluations=spent)
    decided = plan(progress, evaluations=evaluations)
    if spent >= evaluations:
        assert isinstance(decided, Stop)
    else:
        assert 1 <= decided.designs <= min(evaluations - spent, LARGEST_ROUND)
    assert 1 <= opening_size(evaluations) <= evaluations
    assert 2 <= round_size(evaluations) <= LARGEST_ROUND


# A model's planner


@pytest.fixture
def ask(port_to):
    """``ask(answer, progress)``: the plan, the requests, and what was noted."""

    def build(answer, progress, **budget):
        port, server = port_to(lambda request, number: answer)
        notes = []
        planner = ModelPlanner(port, lambda *words: notes.append(words))
        return planner.next(brief(**budget), progress), server.requests, notes

    return build


def choice(phase="explore", designs=4):
    return {"phase": phase, "designs": designs, "reason": "because"}


def test_a_model_chooses_phase_and_size(ask):
    same, requests, _ = ask(choice(), EXPLORING)
    assert same == Continue(4, "because", "model/scripted")
    assert "evaluations 50 of 96" in requests[0].json["messages"][1]["content"]
    other, _, _ = ask(choice("refine", 16), EXPLORING)
    assert other == ChangePhase(REFINE, 16, "because", "model/scripted")


def test_it_cannot_exceed_the_budget(ask):
    decided, _, _ = ask(choice(designs=16), replace(EXPLORING, evaluations=93))
    assert decided.designs == 3


def test_it_is_not_asked_about_the_opening_or_the_end(ask):
    for progress in (
        START,
        replace(START, phase="opening", evaluations=3),
        replace(EXPLORING, evaluations=96),
        replace(EXPLORING, seconds=1e9),
        replace(EXPLORING, empty_rounds=2),
    ):
        decided, requests, _ = ask(choice(), progress)
        assert decided == plan(progress)
        assert requests == []


def test_the_first_phase_after_the_opening_is_its_choice(ask):
    decided, _, _ = ask(choice("refine"), replace(START, phase="opening", evaluations=16))
    assert decided == ChangePhase(REFINE, 4, "because", "model/scripted")


@pytest.mark.parametrize(
    "answer",
    [
        {"phase": "stop", "designs": 4, "reason": "enough"},
        {"phase": "opening", "designs": 4, "reason": "again"},
        {"phase": "explore", "designs": 0, "reason": "rest"},
        {"phase": "explore", "designs": 10**15, "reason": "all"},
        "let us stop here",
    ],
)
def test_it_cannot_stop_and_when_it_fails_the_rules_plan(ask, answer):
    decided, _, notes = ask(answer, EXPLORING)
    assert decided == plan(EXPLORING)
    assert decided.mind == "rules"
    assert [words[1:4] for words in notes] == [
        ("planner", "rules", "answered instead of the model")
    ]
