"""A committee: several asks for one batch over real HTTP, and who chooses among the designs."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from archwright.agents.hybrid.answers import Refusal, Understood
from archwright.agents.hybrid.committee import Chooser, Committee, by_votes
from archwright.agents.hybrid.levels import levels_of
from archwright.agents.hybrid.notebook import PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.model.abilities import Abilities
from archwright.agents.model.ledger import Ledger
from archwright.agents.model.limits import Limits
from archwright.agents.model.port import ModelPort
from archwright.agents.trust import PATIENCE, PlainTrust
from archwright.design import Design, Origin
from archwright.events import EventLog, comparable, read_events

pytestmark = pytest.mark.usefixtures("little_evolution")

MEMBER = re.compile(r"You are proposer (\d) of (\d)")
ABLE = Abilities(json_schema=True, schema_bounds=True, temperature=True, seed=True)


def member_of(body):
    """Which member of a committee a request is, from 1; 0: none."""
    found = MEMBER.search(body["messages"][1]["content"])
    return int(found[1]) if found else 0


def designs(*names):
    return [Design({"name": name}, {}, Origin("test", name)) for name in names]


def names(several):
    return [design.network["name"] for design in several]


@pytest.fixture
def sit(problem, pairings, proposer, port_to):
    """``sit(answers, request, members)``: a batch where each member gives its answer.

    ``answers`` maps a member to its answer, 0 to the chooser's, which is asked where there is
    one.
    """

    def build(answers, request, members=3, trust=None, log=None, limits=None):
        kept, notes = PlainNotebook(), []
        heard = log.note if log else (lambda *words: notes.append(words))
        port, server = port_to(
            lambda body, number: answers[member_of(body)],
            limits,
            abilities=ABLE,
            max_output_tokens=4096,
            max_retries=0,
        )
        if log:
            port = ModelPort(port.profile, port.limits, ledger=Ledger(log), abilities=ABLE)
        chooser = Chooser(problem, port, heard, trust) if 0 in answers else None
        committee = Committee(members, chooser)
        model = ModelProposer(proposer, problem, pairings, port, heard, kept, committee=committee)
        batch = model.propose(request)
        own = [d for d in batch if d.origin.proposer == "model/scripted"]
        bodies = [request.json for request in server.requests]
        return batch, own, bodies, notes, kept.kept

    return build


def other(problem, design, name="width_1"):
    values = dict(zip(problem.network_space.names, problem.network_space.choices, strict=True))
    return next(v for v in values[name].values if v != design.network[name])


@pytest.fixture
def edits(problem, proposer, round_request, make):
    """``edits(0, 3)``: an answer with a changed copy of each of these candidates."""
    rules = proposer.propose(round_request)

    def build(*candidates):
        return make.proposals(
            *(make.proposal(k, f"idea {k}", width_1=other(problem, rules[k])) for k in candidates)
        )

    return build


def ideas(own):
    return [design.origin.reason for design in own]


def test_networks_that_several_name_come_first_then_everybodys_best():
    lists = [designs("a", "b", "c"), designs("d", "c"), designs("e", "f", "g", "b")]
    votes = Counter(d.network_key for own in lists for d in own)
    assert names(by_votes(lists, votes)) == ["b", "c", "a", "d", "e", "f", "g"]
    assert by_votes(lists, votes)[0].origin.reason == "b"


def test_refusals_are_counted_together_and_one_voice_stays_as_it_is(round_request):
    one = Understood(tuple(designs("a")), (Refusal(0, "tried"),))
    two = Understood(tuple(designs("a", "b")), (Refusal(2, "tried"), Refusal(3, "outside")))
    agreed = Committee(2).agree([one, two], 3, 9, round_request.frontier)
    assert agreed.counts == {"tried": 2, "outside": 1}
    assert names(agreed.designs) == ["a", "b"]
    assert Committee(2).agree([two], 3, 1, round_request.frontier) is two


def test_every_member_is_asked_the_same_in_its_own_way(sit, round_request, edits):
    _, own, bodies, notes, kept = sit({1: edits(0), 2: edits(1, 2), 3: edits(2)}, round_request)
    assert ideas(own) == ["idea 2", "idea 0", "idea 1"]
    bodies.sort(key=member_of)
    assert [(body["temperature"], body["seed"]) for body in bodies] == [
        (0.2, 1),
        (0.6, 2),
        (1.0, 3),
    ]
    asked = {MEMBER.sub("", body["messages"][1]["content"]) for body in bodies}
    assert len(asked) == 1
    assert len({json.dumps(body["messages"]) for body in bodies}) == 3
    assert [words[3] for words in notes] == ["answered"] * 3
    assert [words[4].partition(":")[0] for words in notes] == [
        f"member {k} of 3" for k in (1, 2, 3)
    ]
    [advice] = kept
    assert len(advice.networks) == 3


def test_a_committee_of_one_asks_as_ever(ask, sit, round_request, edits):
    alone = ask(edits(0), round_request)
    batch, _, bodies, notes, kept = sit({0: edits(0)}, round_request, members=1)
    assert bodies == [request.json for request in alone.requests]
    assert (batch, notes, kept) == (alone.batch, alone.notes, alone.notebook.kept)
    assert not {"temperature", "seed"} & bodies[0].keys()


def test_a_member_that_fails_leaves_the_others_words(sit, round_request, edits):
    _, own, _, notes, _ = sit({1: edits(0), 2: "a poem", 3: edits(1)}, round_request)
    assert ideas(own) == ["idea 0", "idea 1"]
    [failed] = [words for words in notes if words[3] != "answered"]
    assert failed[:4] == (3, "proposer", "rules", "went without one of several answers")
    assert failed[4].startswith("member 2 of 3: invalid answer, twice")


def test_where_all_fail_the_batch_is_exactly_the_rules(sit, proposer, round_request):
    batch, _, _, notes, kept = sit(dict.fromkeys((1, 2, 3), "a poem"), round_request)
    assert batch == proposer.propose(round_request)
    assert [words[2:4] for words in notes] == [("rules", "answered instead of the model")]
    assert kept[0].networks == ()


def test_the_critics_model_chooses_where_there_are_more_than_can_be_taken(
    sit, round_request, edits, problem
):
    answers = {1: edits(0, 1), 2: edits(2, 1), 3: edits(3), 0: {"best": [3, 60, 3, 1]}}
    _, own, bodies, _, _ = sit(answers, round_request)
    # By rule: 1 (named twice), 0, 2, 3; the model puts 3 first, then 0; the rule fills up.
    assert ideas(own) == ["idea 3", "idea 0", "idea 1"]
    [asked] = [body for body in bodies if not member_of(body)]
    assert "Role: critic." in asked["messages"][0]["content"]
    told = asked["messages"][1]["content"]
    assert "several named the first 1:" in told
    assert "Choose the 3 to measure" in told
    assert "\n3 | " in told
    assert '"idea 3"' in told


@pytest.mark.parametrize("answer", ["a poem", {"best": []}, {"best": [50]}])
def test_without_a_usable_choice_the_rule_chooses(sit, round_request, edits, answer):
    answers = {1: edits(0, 1), 2: edits(2, 1), 3: edits(3), 0: answer}
    _, own, _, _, _ = sit(answers, round_request)
    assert ideas(own) == ["idea 1", "idea 0", "idea 2"]


def test_nobody_is_asked_to_choose_where_all_can_be_taken(sit, round_request, edits):
    _, own, bodies, _, _ = sit({1: edits(0), 2: edits(1), 3: edits(0), 0: "never"}, round_request)
    assert ideas(own) == ["idea 0", "idea 1"]
    assert all(map(member_of, bodies))


def test_a_critic_that_rests_does_not_choose(sit, round_request, edits):
    trust = PlainTrust()
    for step in range(PATIENCE):
        trust.heard("critic", step, overruled=True)
    answers = {1: edits(0, 1), 2: edits(2, 3), 3: edits(), 0: {"best": [3]}}
    _, own, bodies, _, _ = sit(answers, round_request, trust=trust)
    assert ideas(own) == ["idea 0", "idea 2", "idea 1"]
    assert all(map(member_of, bodies))


def test_a_committees_opening_has_every_cost_level(sit, opening_request, problem, pairings, make):
    levels = levels_of(problem, pairings.catalogue)
    rows = make.networks(problem, levels, pairings)
    other_rows = [{**network, "width_1": other(problem, Design(network, {}, Origin("", "")))}
                  for network in rows]  # fmt: skip
    answers = {
        k: {"designs": [make.opens(n, name) for n, name in zip(several, levels.names, strict=True)]}
        for k, several in enumerate((rows, other_rows), start=1)
    }
    batch, own, _, _, _ = sit(answers, opening_request, members=2)
    assert len(own) == 8
    where = levels.of(
        pairings.catalogue.complexity(problem.network_space.encode([d.network for d in own]))
    )
    assert set(where.tolist()) == set(range(len(levels.names)))
    assert own == batch[:8]


def test_what_is_recorded_stands_in_the_members_order(sit, round_request, edits, reply, tmp_path):
    """Whichever ends first: a replay's events are the recorded ones."""
    slow = [0.3, 0.15, 0.0]

    def events(delays, folder):
        folder.mkdir()
        log = EventLog(folder / "events.jsonl", lambda event: None)
        answers = {k: reply(edits(k), delay_s=delay) for k, delay in enumerate(delays, start=1)}
        sit(answers, round_request, log=log)
        return comparable(read_events(folder / "events.jsonl"))

    first = events(slow, tmp_path / "first")
    assert [row["kind"] for row in first] == ["model"] * 3 + ["decision"] * 3
    assert events(slow[::-1], tmp_path / "again") == first


def test_the_budget_bounds_a_committee(sit, proposer, round_request, edits):
    limits = Limits(10**6, 1.0, requests=2)
    answers = {1: edits(0), 2: edits(0), 3: edits(0)}
    _, own, bodies, notes, _ = sit(answers, round_request, limits=limits)
    assert len(bodies) == 2
    assert ideas(own) == ["idea 0"]
    [without] = [words for words in notes if words[3] != "answered"]
    assert "budget spent: requests" in without[4]


def test_a_committee_has_at_least_two_temperatures():
    assert [v.temperature for v in Committee(2).voices] == [0.2, 1.0]
    assert [v.temperature for v in Committee(5).voices] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert len({replace(v, name="") for v in Committee(5).voices}) == 5
