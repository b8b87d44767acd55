"""The planner: phases, stalls and stops by rule, and what little of it a model may choose."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.phases import (
    EXPLORE,
    OPEN_THEMSELVES,
    OPENING,
    REFINE,
    WIDEN,
    narrow_focus,
    phases_of,
    search_strategies,
)
from archwright.agents.planner import (
    LARGEST_ROUND,
    ChangePhase,
    Continue,
    ModelPlanner,
    Progress,
    RuleBasedPlanner,
    Stop,
    opening_size,
    round_size,
)
from archwright.agents.trust import PlainTrust
from archwright.brief import parse_brief

RISING = (0.1, 0.2, 0.3, 0.4, 0.5)
FLAT = (0.1, 0.5, 0.5, 0.5, 0.5)
START = Progress(0, "", 0, 0, 0.0, 0, ())
EXPLORING = Progress(5, "explore", 4, 50, 60.0, 0, RISING, (None, 0.2, 0.1, 0.1, 0.05), 14)
STALLED = replace(EXPLORING, hypervolumes=FLAT)


def brief(evaluations=96, hours=1.0, **search):
    return parse_brief(
        {
            "name": "plan",
            "task": {"data": "digits"},
            "objectives": {"accuracy": "maximise", "energy_uj": "minimise"},
            "search": search,
            "budget": {"evaluations": evaluations, "hours": hours},
        }
    )


def plan(progress, **wanted):
    return RuleBasedPlanner().next(brief(**wanted), progress)


def test_a_run_opens_explores_refines_and_widens():
    opening = plan(START)
    own = replace(OPENING, strategy="surrogate")
    assert opening == ChangePhase(own, 16, OPENING.meaning)
    assert plan(replace(START, phase="opening", evaluations=10)).designs == 6
    explore = plan(replace(START, phase="opening", evaluations=16))
    assert isinstance(explore, ChangePhase)
    assert (explore.phase, explore.focus) == (EXPLORE, 0)
    assert isinstance(plan(EXPLORING), Continue)
    refine = plan(STALLED)
    assert isinstance(refine, ChangePhase)
    assert (refine.phase, refine.focus) == (REFINE, 3)
    widen = plan(replace(STALLED, phase="refine"))
    assert isinstance(widen, ChangePhase)
    assert (widen.phase.name, widen.focus) == ("widen", 0)
    assert widen.phase.strategy not in (EXPLORE.strategy, OPENING.strategy)
    assert isinstance(plan(replace(STALLED, phase="widen", rounds_in_phase=1)), Continue)
    back = plan(replace(STALLED, phase="widen", rounds_in_phase=2))
    assert isinstance(back, ChangePhase)
    assert (back.phase, back.focus) == (EXPLORE, 0)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("explore", ("from 0.5000 to 0.5000 in 3 rounds", "0.2%", "within 3 of 14 choices")),
        ("refine", ("from 0.5000 to 0.5000 in 3 rounds", "0.2%", "whole space", "for 2 rounds")),
        ("widen", ("from 0.5000 to 0.5000 in 2 rounds", "back to surrogate")),
    ],
)
def test_a_change_says_why_in_figures(phase, words):
    reason = plan(replace(STALLED, phase=phase)).reason
    assert all(word in reason for word in words), reason


def test_going_on_says_what_the_last_round_brought():
    reason = plan(EXPLORING).reason
    assert reason.startswith(EXPLORE.meaning)
    assert "hypervolume 0.5000, 0.1000 more than a round ago, 0.0500 was expected" in reason


def test_the_briefs_strategy_explores_and_another_one_widens():
    for name in search_strategies():
        own = phases_of(brief(strategy=name))
        assert own["explore"].strategy == own["refine"].strategy == name
        assert own["widen"].strategy in set(search_strategies()) - {name}
        opens = name if name in OPEN_THEMSELVES else OPENING.strategy
        assert own["opening"] == replace(OPENING, strategy=opens)
        assert plan(replace(START, phase="opening", evaluations=16), strategy=name).phase == (
            replace(EXPLORE, strategy=name)
        )


def test_evolution_widens_where_there_is_one(monkeypatch):
    monkeypatch.setattr(
        "archwright.agents.strategies.STRATEGIES", ("random", "spread", "surrogate")
    )
    assert phases_of(brief())["widen"].strategy == "random"
    assert phases_of(brief(strategy="random"))["widen"].strategy == "surrogate"
    names = ("random", "spread", "surrogate", "evolution")
    monkeypatch.setattr("archwright.agents.strategies.STRATEGIES", names)
    assert phases_of(brief())["widen"].strategy == "evolution"
    assert phases_of(brief(strategy="evolution"))["widen"].strategy == "surrogate"


def test_a_narrow_focus_is_a_small_part_of_the_choices():
    assert [narrow_focus(n) for n in (0, 1, 2, 4, 7, 8, 14, 40)] == [0, 0, 1, 1, 1, 2, 3, 10]


def test_nothing_is_narrowed_before_there_is_a_front():
    nothing_feasible = plan(replace(EXPLORING, hypervolumes=(0.0,) * 6))
    assert isinstance(nothing_feasible, ChangePhase)
    assert (nothing_feasible.phase, nothing_feasible.focus) == (REFINE, 0)
    assert "whole space" in nothing_feasible.reason


def test_a_phase_has_its_rounds_before_it_stalls():
    assert isinstance(plan(replace(STALLED, rounds_in_phase=2)), Continue)
    assert isinstance(plan(replace(EXPLORING, hypervolumes=FLAT[-3:])), Continue)


# Patience


FAR = (None, 1e-5, 1e-5, 1e-5, 1e-5)


@pytest.mark.parametrize("phase", ["explore", "refine", "widen"])
def test_it_stops_once_rounds_in_a_row_do_not_pay(phase):
    tired = replace(STALLED, phase=phase, expected_gains=FAR)
    stop = plan(tired, patience=3)
    assert isinstance(stop, Stop)
    assert stop.reason.startswith("3 rounds in a row neither gained nor expected 0.07% of the")
    assert "hypervolume 0.5000, 0.0000 more than a round ago, 0.0000 was expected" in stop.reason
    assert not isinstance(plan(tired, patience=4), Stop)
    assert not isinstance(plan(tired), Stop)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("worth", ["gained", "expected"])
def test_one_round_that_pays_begins_the_count_anew(at, worth):
    gains = [1e-5, 1e-5, 1e-5]
    scores = [0.5, 0.5, 0.5]
    if worth == "expected":
        gains[at] = 0.01
    else:
        scores[at:] = [0.51] * (3 - at)
    progress = replace(
        EXPLORING,
        hypervolumes=(0.1, 0.5, *scores),
        expected_gains=(None, 0.2, *gains),
        rounds_in_phase=1,
    )
    assert not isinstance(plan(progress, patience=3), Stop)
    assert isinstance(plan(progress, patience=2), Stop) == (at == 0)


def test_where_nothing_is_expected_the_gain_alone_counts():
    unknown = replace(STALLED, expected_gains=(None,) * 5)
    assert isinstance(plan(unknown, patience=3), Stop)
    assert not isinstance(plan(unknown, patience=4), Stop)


def test_a_search_for_the_first_feasible_design_is_not_given_up_on_gains_alone():
    nothing = replace(EXPLORING, hypervolumes=(0.0,) * 5, expected_gains=(None,) * 5)
    assert not isinstance(plan(nothing, patience=1), Stop)
    hopeless = replace(nothing, expected_gains=(None, 0.0, 0.0, 0.0, 0.0))
    assert isinstance(plan(hopeless, patience=4), Stop)
    hopeful = replace(nothing, expected_gains=(None, 0.0, 0.0, 0.0, 0.01))
    assert not isinstance(plan(hopeful, patience=1), Stop)


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


shares = st.floats(0.0, 1.0)
progresses = st.builds(
    Progress,
    step=st.integers(0, 1000),
    phase=st.sampled_from(["", "opening", "explore", "refine", "widen"]),
    rounds_in_phase=st.integers(0, 50),
    evaluations=st.integers(0, 100_001),
    seconds=st.floats(0.0, 7200.0),
    empty_rounds=st.integers(0, 3),
    hypervolumes=st.lists(shares, max_size=8).map(tuple),
    expected_gains=st.lists(st.none() | shares, max_size=8).map(tuple),
    choices=st.integers(0, 40),
)


@given(progresses, st.integers(1, 100_000), st.integers(0, 4), st.sampled_from(search_strategies()))
def test_any_progress_gives_a_plan_that_can_be_carried_out(progress, evaluations, patience, name):
    wanted = {"evaluations": evaluations, "patience": patience, "strategy": name}
    decided = plan(progress, **wanted)
    assert decided == plan(progress, **wanted)
    assert decided.reason
    if isinstance(decided, Stop):
        assert decided == RuleBasedPlanner().must_stop(brief(**wanted), progress)
        return
    left = evaluations - progress.evaluations
    assert 1 <= decided.designs <= min(left, LARGEST_ROUND)
    assert progress.seconds < 3600.0
    assert progress.empty_rounds < 2
    if isinstance(decided, ChangePhase):
        assert decided.phase == phases_of(brief(**wanted))[decided.phase.name]
        assert 0 <= decided.focus <= max(progress.choices - 1, 0)
        assert decided.focus == 0 or decided.phase.name == REFINE.name


@given(st.integers(1, 100_000))
def test_rounds_are_parts_of_the_budget(evaluations):
    assert 1 <= opening_size(evaluations) <= evaluations
    assert 2 <= round_size(evaluations) <= LARGEST_ROUND


# A model's planner


@pytest.fixture
def ask(port_to):
    """``ask(answer, progress)``: the plan, the requests, and what was noted."""

    def build(answer, progress, trust=None, **budget):
        port, server = port_to(lambda request, number: answer)
        notes = []
        planner = ModelPlanner(port, lambda *words: notes.append(words), trust)
        return planner.next(brief(**budget), progress), server.requests, notes

    return build


def choice(phase="explore", designs=4):
    return {"phase": phase, "designs": designs, "reason": "because"}


def rounds(ask, answers, progress=EXPLORING):
    """The plans of consecutive steps, and how often a model was asked in each."""
    trust, plans, asked = PlainTrust(), [], []
    for step, answer in enumerate(answers, progress.step):
        decided, requests, _ = ask(answer, replace(progress, step=step), trust)
        plans.append(decided)
        asked.append(len(requests))
    return plans, asked


def test_a_model_chooses_phase_and_size(ask):
    same, requests, _ = ask(choice(), EXPLORING)
    assert same == Continue(4, "because", "model/scripted")
    data = requests[0].json["messages"][1]["content"]
    assert "Evaluations: 50 of 96" in data
    assert "The rules would go on with phase explore with 8 designs" in data
    other, _, _ = ask(choice("refine", 16), EXPLORING)
    assert other == ChangePhase(REFINE, 16, "because", "model/scripted")
    wider, _, _ = ask(choice("widen"), EXPLORING)
    widen = phases_of(brief())[WIDEN.name]
    assert wider == ChangePhase(widen, 4, "because", "model/scripted")


def test_it_narrows_the_space_only_where_the_rules_do(ask):
    agreed, _, _ = ask(choice("refine"), STALLED)
    assert agreed == ChangePhase(REFINE, 4, "because", "model/scripted", focus=3)
    alone, _, _ = ask(choice("refine"), EXPLORING)
    assert alone.focus == 0


def test_the_size_is_bounded_by_the_rules_and_the_budget(ask):
    decided, _, _ = ask(choice(designs=16), replace(EXPLORING, evaluations=93))
    assert decided.designs == 3
    small_rounds, _, _ = ask(choice(designs=16), replace(EXPLORING, evaluations=20), evaluations=36)
    assert plan(replace(EXPLORING, evaluations=20), evaluations=36).designs == 3
    assert small_rounds.designs == 6


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


def test_it_may_not_stop(ask):
    decided, _, notes = ask(choice("stop"), EXPLORING)
    assert decided == plan(EXPLORING)
    assert decided.mind == "rules"
    assert notes[-1] == (5, "planner", "rules", "overruled: stop", "the rules go on; because")


def test_who_wants_to_stop_every_time_is_not_asked_for_ten_steps(ask):
    plans, asked = rounds(ask, [choice("stop")] * 14)
    assert asked == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    assert {p.mind for p in plans} == {"rules"}


def test_it_strays_at_most_every_other_round(ask):
    strays, agrees = choice("widen"), choice("explore")
    plans, _ = rounds(ask, [strays, strays, agrees, strays, agrees, strays])
    assert [p.mind for p in plans] == [
        "model/scripted", "rules", "model/scripted", "model/scripted", "model/scripted",
        "model/scripted",
    ]  # fmt: skip
    assert [isinstance(p, ChangePhase) for p in plans] == [True, False, False, True, False, True]


def test_whatever_it_says_it_strays_at_most_every_other_round(port_to):
    said = list("ewrswweserwwrrsewrewwess")
    names = {"e": "explore", "r": "refine", "w": "widen", "s": "stop"}
    port, _ = port_to(lambda request, number: choice(names[said[number]]))
    planner = ModelPlanner(port, lambda *words: None)
    plans = [planner.next(brief(), replace(EXPLORING, step=step)) for step in range(len(said))]
    strays = [isinstance(decided, ChangePhase) for decided in plans]
    assert any(strays)
    assert not any(isinstance(decided, Stop) for decided in plans)
    assert not any(one and other for one, other in pairwise(strays))


@pytest.mark.parametrize(
    "answer",
    [
        {"phase": "opening", "designs": 4, "reason": "again"},
        {"phase": "explore", "designs": 0, "reason": "rest"},
        {"phase": "explore", "designs": 10**15, "reason": "all"},
        "let us stop here",
    ],
)
def test_when_it_fails_the_rules_plan(ask, answer):
    decided, _, notes = ask(answer, EXPLORING)
    assert decided == plan(EXPLORING)
    assert decided.mind == "rules"
    assert [words[1:4] for words in notes] == [
        ("planner", "rules", "answered instead of the model")
    ]
