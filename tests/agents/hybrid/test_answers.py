"""What a proposer's model may answer: schemas made from the spaces, and designs read from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.critic import CriticAnswer
from archwright.agents.evaluator import EvaluatorAnswer
from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.hybrid.answers import (
    OUTSIDE,
    Reader,
    Unreadable,
    opening_answer,
    proposals_answer,
)
from archwright.agents.hybrid.levels import levels_of
from archwright.agents.model.prompt import schema_of
from archwright.agents.planner import PlannerAnswer
from archwright.design import Design, Origin
from archwright.space import Choice, Space
from archwright.tabular.table import read_table

ODD_NAMES = ("_hidden", "model_config", "copy", "edge 0-1", "schema", "Größe")


@pytest.fixture
def levels(problem, pairings):
    return levels_of(problem, pairings.catalogue)


@pytest.fixture
def reader(problem, pairings):
    """``reader(tried, unwanted)`` over an empty front."""

    def build(tried=(), unwanted=lambda design: False, frontier=None):
        front = frontier or Frontier(problem, pairings)
        return Reader(problem, pairings, front, "model/scripted", frozenset(tried), unwanted)

    return build


@pytest.fixture
def candidates(problem, pairings, small):
    """Four designs of the optimiser's, each on hardware that suits it."""
    rows = problem.network_space.sample(np.random.default_rng(4), 4)
    found = []
    for row in rows:
        hardware = problem.hardware_space.decode(pairings.of(row).hardware[:1])[0]
        [network] = problem.network_space.decode(row[None])
        found.append(Design(network, hardware, Origin("rules/surrogate", "expected", ("parent",))))
    return found


@pytest.fixture
def point(problem):
    """Some network of the space."""
    row = problem.network_space.sample(np.random.default_rng(1), 1)
    return problem.network_space.decode(row)[0]


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every object with properties in a JSON schema."""
    if isinstance(schema, list):
        return [found for one in schema for found in objects(one)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if "properties" in schema else []
    return own + [found for one in schema.values() for found in objects(one)]


def enumerations(schema: dict[str, Any]) -> list[list[str]]:
    """The values of every choice of a schema's network, in order."""
    properties = schema["$defs"]["Network"]["properties"].values()
    return [choice.get("enum", [choice.get("const")]) for choice in properties]


def test_an_opening_names_every_value_of_every_choice(problem, levels):
    schema = opening_answer(problem.network_space, levels, 5).model_json_schema()
    choices = problem.network_space.choices
    assert list(schema["$defs"]["Network"]["properties"]) == [c.name for c in choices]
    assert enumerations(schema) == [[str(value) for value in c.values] for c in choices]
    assert schema["$defs"]["OpeningDesign"]["properties"]["level"]["enum"] == list(levels.names)
    assert schema["properties"]["designs"]["maxItems"] == 5


def test_a_round_can_change_what_there_is_to_choose(problem):
    schema = proposals_answer(problem.network_space, problem.hardware_space).model_json_schema()
    names = [*problem.network_space.names, *problem.hardware_space.names]
    allowed = schema["$defs"]["Change"]["properties"]["choice"]["enum"]
    assert allowed == list(dict.fromkeys(names))
    assert allowed.count("bits") == 1
    one = problem.hardware_space.restrict(
        {c.name: c.values[:1] for c in problem.hardware_space.choices}
    )
    fixed = proposals_answer(problem.network_space, one).model_json_schema()
    allowed = fixed["$defs"]["Change"]["properties"]["choice"]["enum"]
    assert allowed == list(problem.network_space.names)


def test_every_schema_is_strict(problem, levels):
    """openai's converter takes them, and no value is left free of form."""
    for answer in (
        opening_answer(problem.network_space, levels, 5),
        proposals_answer(problem.network_space, problem.hardware_space),
        PlannerAnswer,
        CriticAnswer,
        EvaluatorAnswer,
    ):
        described = schema_of(answer)
        assert described["strict"] is True, answer.__name__
        for one in objects(described["schema"]):
            assert one["additionalProperties"] is False
            assert sorted(one["required"]) == sorted(one["properties"])
            for name, kind in one["properties"].items():
                assert kind.keys() & {"type", "enum", "const", "$ref", "anyOf"}, name


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_choice_may_have_any_name(name, make):
    """A table's columns do."""
    space = Space("odd", (Choice(name, (1, 2), "a column"), Choice("other", ("a", "b"), "too")))
    levels = levels_of_none()
    kind = opening_answer(space, levels, 2)
    assert schema_of(kind)["strict"] is True
    answer = kind.model_validate({"designs": [make.opens({name: 2, "other": "b"}, "all")]})
    assert answer.designs[0].network.model_dump(by_alias=True) == {name: "2", "other": "b"}


def levels_of_none():
    """The levels where nothing is known of sizes."""
    from archwright.agents.hybrid.levels import Levels

    return Levels(("all",), np.zeros(2))


def test_numbers_for_words_are_accepted(problem, levels, point, make):
    kind = opening_answer(problem.network_space, levels, 2)
    words, numbers = make.opens(point), make.opens(point)
    numbers["network"] = dict(point)
    floats = make.opens(point)
    floats["network"] = {k: float(v) if isinstance(v, int) else v for k, v in point.items()}
    expected = kind.model_validate({"designs": [words]})
    assert kind.model_validate({"designs": [numbers]}) == expected
    assert kind.model_validate({"designs": [floats]}) == expected


@pytest.mark.parametrize("value", [True, None, 10**15, 1e300, "nonsense", [8], {"value": 8}])
def test_what_is_no_value_costs_its_own_design(problem, levels, point, make, reader, value):
    kind = opening_answer(problem.network_space, levels, 2)
    wrong = make.opens(point)
    wrong["network"] = {**wrong["network"], "width_1": value}
    answer = kind.model_validate({"designs": [wrong, make.opens(point)]})
    assert isinstance(answer.designs[0], Unreadable)
    read = reader().opening(answer)
    assert [design.network for design in read.designs] == [point]
    [refusal] = read.refusals
    assert (refusal.number, refusal.reason) == (0, OUTSIDE)
    assert "width_1" in refusal.detail


# Designs read from answers


def test_an_opening_stands_on_the_hardware_that_suits_it(problem, pairings, levels, reader, make):
    kind = opening_answer(problem.network_space, levels, 5)
    points = make.networks(problem, levels, pairings)
    answer = kind.model_validate(
        {"designs": [make.opens(p, n, "why") for p, n in zip(points, levels.names, strict=True)]}
    )
    understood = reader().opening(answer)
    assert understood.refusals == ()
    assert understood.complaint == ""
    assert [d.network for d in understood.designs] == points
    assert [d.origin.reason for d in understood.designs] == [f"{n}: why" for n in levels.names]
    assert {d.origin.proposer for d in understood.designs} == {"model/scripted"}
    rows = problem.network_space.encode([d.network for d in understood.designs])
    hardware = problem.hardware_space.encode([d.hardware for d in understood.designs])
    assert problem.affordable(problem.costing.zip(rows, hardware)).all()


def read(reader, problem, candidates, *several):
    kind = proposals_answer(problem.network_space, problem.hardware_space)
    return reader.proposals(kind.model_validate({"proposals": list(several)}), candidates)


def other(problem, design, name="width_1"):
    """A value of a choice that the design does not have."""
    values = dict(zip(problem.network_space.names, problem.network_space.choices, strict=True))
    return next(v for v in values[name].values if v != design.network[name])


def test_a_proposal_is_a_candidate_with_changes(problem, candidates, reader, make):
    width = other(problem, candidates[1])
    understood = read(
        reader(), problem, candidates, make.proposal(1, "wider", width_1=width), make.proposal(3)
    )
    changed, same = understood.designs
    assert changed.network == {**candidates[1].network, "width_1": width}
    assert changed.hardware == candidates[1].hardware
    assert changed.origin == Origin("model/scripted", "wider", ("parent",))
    assert (same.network, same.hardware) == (candidates[3].network, candidates[3].hardware)


def test_hardware_can_change_and_gives_way_where_it_cannot_run(problem, candidates, reader, make):
    rows = next(v for v in (8, 16) if v != candidates[0].hardware["rows"])
    understood = read(reader(), problem, candidates, make.proposal(0, rows=rows))
    assert understood.designs[0].hardware["rows"] == rows
    wide = next((c for c in range(4) if candidates[c].network["bits"] == 16), 0)
    edits = {"bits": 16}
    [design] = read(reader(), problem, candidates, make.proposal(wide, **edits)).designs
    assert design.network["bits"] == design.hardware["bits"] == 16


@pytest.mark.parametrize("value", [8, "8", 8.0])
def test_numbers_for_words_are_accepted_in_changes(problem, candidates, reader, make, value):
    [design] = read(reader(), problem, candidates, make.proposal(0, bits=value)).designs
    assert design.network["bits"] == 8
    assert isinstance(design.network["bits"], int)


def test_what_both_spaces_name_changes_where_the_value_is(tmp_path):
    """The tiny networks' rows are words, those of the hardware numbers."""
    table = read_table(tables.write_tiny(tmp_path / "tiny.csv"))
    problem = tables.tiny(table, "short").problem
    pairings = Pairings(problem)
    reader = Reader(
        problem, pairings, Frontier(problem, pairings), "model/x", frozenset(), lambda design: False
    )
    row = np.zeros(4, np.int64)
    hardware = problem.hardware_space.decode(pairings.of(row).hardware[:1])[0]
    [network] = problem.network_space.decode(row[None])
    base = Design(network, hardware, Origin("rules", "a test"))
    kind = proposals_answer(problem.network_space, problem.hardware_space)

    def changed(value):
        change = {"choice": "rows", "value": value}
        plan = {"candidate": 0, "changes": [change], "rationale": "try"}
        return reader.proposals(kind.model_validate({"proposals": [plan]}), [base])

    [biased] = changed("biased").designs
    assert (biased.network["rows"], biased.hardware["rows"]) == ("biased", hardware["rows"])
    number = next(v for v in (4, 16) if v != hardware["rows"])
    [wider] = changed(number).designs
    assert (wider.network["rows"], wider.hardware["rows"]) == (network["rows"], number)
    [refusal] = changed("round").refusals
    assert str(refusal) == "design 0: outside the space: rows = 'round': allowed plain, biased"


def test_what_may_not_be_proposed_is_refused_with_its_place_and_reason(
    problem, pairings, small, candidates, reader, make
):
    tried = candidates[0].network_key
    unwanted = candidates[1].network_key
    judge = reader({tried}, lambda design: design.network_key == unwanted)
    understood = read(
        judge,
        problem,
        candidates,
        make.proposal(0),
        make.proposal(1),
        make.proposal(2),
        make.proposal(2, "again"),
        make.proposal(9),
        make.proposal(3, width_1=12345),
    )
    assert [d.network_key for d in understood.designs] == [candidates[2].network_key]
    assert [(r.number, r.reason) for r in understood.refusals] == [
        (0, "its network was tried before, or is in the batch"),
        (1, "the user rejected such a design"),
        (3, "its network stands twice in the answer"),
        (4, "no such candidate"),
        (5, "outside the space"),
    ]
    assert understood.counts["no such candidate"] == 1
    assert "design 4: no such candidate: 9, allowed 0 to 3" in understood.complaint
    assert "width_1 = '12345': allowed" in understood.complaint


def test_what_no_hardware_can_pay_for_is_refused(small, levels, point, make):
    problem = small.make_problem(constraints={"energy_uj": {"at_most": 1e-6}})
    pairings = Pairings(problem)
    front = Frontier(problem, pairings)
    reader = Reader(problem, pairings, front, "model/x", frozenset(), lambda design: False)
    kind = opening_answer(problem.network_space, levels, 2)
    understood = reader.opening(kind.model_validate({"designs": [make.opens(point)]}))
    assert understood.designs == ()
    assert understood.counts == {"no hardware keeps its costs within the bounds": 1}


def test_what_is_dominated_in_any_case_is_refused(problem, pairings, small, levels, reader, make):
    top = np.array(problem.network_space.shape) - 1
    front = Frontier(problem, pairings)
    front.add(small.evaluate(problem, [top * 0], accuracy=lambda network: 1.0))
    kind = opening_answer(problem.network_space, levels, 2)
    [point] = problem.network_space.decode(top[None])
    understood = reader(frontier=front).opening(
        kind.model_validate({"designs": [make.opens(point)]})
    )
    assert understood.designs == ()
    assert understood.counts == {"dominated on every hardware even at an accuracy of 1": 1}


@given(st.data())
def test_whatever_fits_the_schema_is_read_or_refused(problem, pairings, candidates_of, data):
    """And each proposal is one or the other, once."""
    kind = proposals_answer(problem.network_space, problem.hardware_space)
    names = [*problem.network_space.names, *problem.hardware_space.names]
    values = st.one_of(
        st.sampled_from([str(v) for c in problem.network_space.choices for v in c.values]),
        st.integers(-9, 99),
        st.text(max_size=10),
    )
    change = st.fixed_dictionaries({"choice": st.sampled_from(names), "value": values})
    one = st.fixed_dictionaries(
        {
            "candidate": st.integers(0, 5),
            "changes": st.lists(change, max_size=4),
            "rationale": st.text(max_size=20),
        }
    )
    drawn = data.draw(st.lists(one, max_size=6))
    front = Frontier(problem, pairings)
    reader = Reader(problem, pairings, front, "model/x", frozenset(), lambda design: False)
    understood = reader.proposals(kind.model_validate({"proposals": drawn}), candidates_of)
    assert len(understood.designs) + len(understood.refusals) == len(drawn)
    for design in understood.designs:
        problem.network_space.check(design.network)
        problem.hardware_space.check(design.hardware)


@pytest.fixture(scope="module")
def candidates_of(problem, pairings):
    """As ``candidates``, for a property test."""
    rows = problem.network_space.sample(np.random.default_rng(4), 4)
    hardware = [problem.hardware_space.decode(pairings.of(row).hardware[:1])[0] for row in rows]
    networks = problem.network_space.decode(rows)
    return [Design(n, h, Origin("t", "")) for n, h in zip(networks, hardware, strict=True)]
