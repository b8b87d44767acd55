"""The tools that a model inside a run may call: bound to the run, free, compact, never raising."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.problem import History, Problem
from archwright.agents.recollection import PastRun, RecalledDesign, Recollection
from archwright.agents.toolbox import LONGEST_RESULT, OFFERED, Toolbox

RUN = "digits-20261121-143012-ab12"
NAMES = {
    "describe_space",
    "recall_designs",
    "simulate",
    "estimate_accuracy",
    "explain_bottleneck",
    "front",
    "suggest",
}


@pytest.fixture(scope="module")
def box(problem: Problem, pairings: Pairings, small: SimpleNamespace) -> Any:
    """``box(step=2, role="proposer", recollection=...)``: the tools by name.

    Twelve networks are measured in step 0 and twelve in step 1.
    """
    rows = problem.network_space.sample(np.random.default_rng(5), 24)
    measured = [
        *small.evaluate(problem, rows[:12], step=0),
        *small.evaluate(problem, rows[12:], step=1),
    ]

    def history(step: int) -> History:
        return small.history_of([e for e in measured if e.step < step])

    def tools(
        step: int = 2, role: str = "proposer", recollection: Recollection | None = None
    ) -> Any:
        toolbox = Toolbox(problem, pairings, 3, recollection or Recollection(), history)
        return {tool.name: tool for tool in toolbox.for_role(role, step)}

    return SimpleNamespace(tools=tools, history=history)


@pytest.fixture(scope="module")
def tools(box: Any) -> Any:
    return box.tools()


def ask(tool: Any, **arguments: Any) -> Any:
    text = tool.call(json.dumps(arguments))
    assert not text.startswith("error:"), text
    assert len(text) <= LONGEST_RESULT
    return json.loads(text)


def shown_first(tools: Any) -> dict[str, Any]:
    first: dict[str, Any] = ask(tools["front"])["designs"][0]
    return first


def test_what_is_offered_is_free_and_only_reads(box: Any) -> None:
    assert set(box.tools()) == NAMES
    assert set(box.tools(role="a role to come")) == NAMES
    for role, names in OFFERED.items():
        assert list(box.tools(role=role)) == list(names)
        assert set(names) < NAMES


def test_schemas_are_short_closed_and_name_no_run(tools: Any) -> None:
    schemas = [tool.schema["function"] for tool in tools.values()]
    assert [schema["name"] for schema in schemas] == list(tools)
    assert all(schema["parameters"]["additionalProperties"] is False for schema in schemas)
    assert not any("run" in schema["parameters"]["properties"] for schema in schemas)
    assert len(json.dumps(schemas)) < 3500, "small models have short prompts"


def test_the_front_is_that_of_the_steps_before(
    box: Any, problem: Problem, pairings: Pairings
) -> None:
    for step in (1, 2):
        frontier = Frontier(problem, pairings)
        frontier.add(box.history(step).evaluated)
        said = ask(box.tools(step)["front"], designs=12)
        assert said["size"] == len(frontier.points())
        assert said["measured networks"] == 12 * step
        best = frontier.points()[0]
        assert said["designs"][0]["accuracy"] == pytest.approx(best.evaluated.accuracy, rel=1e-3)
        network = problem.networks(best.evaluated.row[None])[0]
        assert said["designs"][0]["network"] == list(network.values())


def test_what_a_step_is_told_does_not_change_when_more_is_measured(box: Any) -> None:
    calls = [("front", {}), ("estimate_accuracy", {"networks": [{}]}), ("suggest", {"designs": 2})]
    told = []
    for _ in range(2):
        tools = box.tools(step=1)
        key = shown_first(tools)["key"]
        told.append(
            [
                tools[name].call(
                    json.dumps({**a, "design": key} if name.startswith("estimate") else a)
                )
                for name, a in calls
            ]
        )
    assert told[0] == told[1]
    assert not any(text.startswith("error") for text in told[0])
    assert box.tools(step=2)["front"].call("{}") != told[0][0]


def test_before_anything_is_measured_each_tool_says_so_or_works(box: Any) -> None:
    tools = box.tools(step=0)
    assert ask(tools["front"]) | {"network choices": 0, "hardware choices": 0} == {
        "size": 0,
        "measured networks": 0,
        "network choices": 0,
        "hardware choices": 0,
        "designs": [],
    }
    suggested = ask(tools["suggest"], designs=2)["designs"]
    assert len(suggested) == 2
    assert ask(tools["simulate"], design=suggested[0]["key"])["costs"]["latency_ms"] > 0
    text = tools["estimate_accuracy"].call(
        json.dumps({"design": suggested[0]["key"], "networks": [{}]})
    )
    assert text == (
        "error: estimate_accuracy: 0 networks of the run are measured so far; an estimate needs 4"
    )


def test_only_what_differs_from_a_shown_design_has_to_be_said(tools: Any, problem: Problem) -> None:
    first = shown_first(tools)
    whole = {
        "network": dict(zip(problem.network_space.names, first["network"], strict=True)),
        "hardware": dict(zip(problem.hardware_space.names, first["hardware"], strict=True)),
    }
    clock = {200: 800, 800: 200}[whole["hardware"]["clock_mhz"]]
    changed = {**whole, "hardware": {**whole["hardware"], "clock_mhz": clock}}
    for name in ("simulate", "explain_bottleneck"):
        assert ask(tools[name], design=first["key"]) == ask(tools[name], **whole)
        other = ask(tools[name], design=first["key"], hardware={"clock_mhz": clock})
        assert other == ask(tools[name], **changed)
        assert other != ask(tools[name], **whole)


def test_simulated_costs_are_the_free_ones_to_four_digits(tools: Any, problem: Problem) -> None:
    first = shown_first(tools)
    said = ask(tools["simulate"], design=first["key"])
    point = dict(zip(problem.network_space.names, first["network"], strict=True))
    device = dict(zip(problem.hardware_space.names, first["hardware"], strict=True))
    costs = problem.costing.zip(
        problem.network_space.encode([point]), problem.hardware_space.encode([device])
    )
    assert said["costs"] == {m: float(f"{float(v[0]):.4g}") for m, v in costs.items()}
    assert said["breaks"] == "no bound of the brief on costs"


def test_a_broken_bound_is_named(small: SimpleNamespace) -> None:
    bounded = small.make_problem(constraints={"latency_ms": {"at_most": 1e-9}})
    toolbox = Toolbox(bounded, Pairings(bounded), 3, Recollection(), lambda step: History())
    [simulate] = [tool for tool in toolbox.for_role("critic", 0) if tool.name == "simulate"]
    network = bounded.network_space.decode(np.zeros((1, 14), dtype=np.int64))[0]
    hardware = bounded.hardware_space.decode(bounded.hardware_space.enumerate()[-1:])[0]
    said = ask(simulate, network=network, hardware=hardware)
    assert said["breaks"] == "latency_ms above the brief's 1e-09"


def test_estimates_are_in_their_intervals(tools: Any) -> None:
    key = shown_first(tools)["key"]
    said = ask(tools["estimate_accuracy"], design=key, networks=[{}, {"width_3": 4}])
    assert said["learned_from"] == 24
    for estimate in said["estimates"]:
        assert 0 <= estimate["low"] <= estimate["accuracy"] <= estimate["high"] <= 1
    assert said["estimates"][0]["measured"] == shown_first(tools)["accuracy"]


def test_suggestions_are_untried(tools: Any, box: Any, problem: Problem) -> None:
    tried = {tuple(problem.networks(e.row[None])[0].values()) for e in box.history(2).evaluated}
    for design in ask(tools["suggest"], designs=3)["designs"]:
        assert tuple(design["network"]) not in tried
        assert design["reason"]


def test_spaces_are_the_run_s(tools: Any, problem: Problem) -> None:
    for name, space in (("network", problem.network_space), ("hardware", problem.hardware_space)):
        said = ask(tools["describe_space"], space=name)
        assert said["points"] == space.size
        rows = said["choice, values, meaning"]
        assert [(row[0], row[1]) for row in rows] == [
            (c.name, list(c.values)) for c in space.choices
        ]


@pytest.fixture(scope="module")
def recalled(problem: Problem) -> Recollection:
    rng = np.random.default_rng(1)
    networks = problem.network_space.decode(problem.network_space.sample(rng, 30))
    past = PastRun(RUN, 0.9, tuple((n, 0.9 - 0.01 * k) for k, n in enumerate(networks)))
    designs = tuple(RecalledDesign("ab" * 8, RUN, n, 0.9) for n in networks[:9:2])
    return Recollection(designs, ("a lesson",), (past,))


def test_recalled_networks_come_with_what_they_reached_then(
    box: Any, recalled: Recollection, problem: Problem
) -> None:
    tool = box.tools(recollection=recalled)["recall_designs"]
    said = ask(tool, designs=3)
    assert [row["accuracy then"] for row in said["networks"]] == [0.9, 0.86, 0.82]
    like = dict(recalled.past[0].networks[17][0])
    said = ask(tool, network=like, designs=1)
    assert said["networks"] == [
        {"accuracy then": 0.73, "network": [like[name] for name in problem.network_space.names]}
    ]
    assert ask(box.tools()["recall_designs"])["networks"] == []


def test_nothing_that_a_run_is_told_tells_it_from_its_replay(
    box: Any, recalled: Recollection
) -> None:
    """No run id, no folder, no date: prompts are equal when a run is replayed."""
    tools = box.tools(recollection=recalled)
    key = shown_first(tools)["key"]
    told = [
        tools["recall_designs"].call("{}"),
        tools["front"].call("{}"),
        tools["suggest"].call("{}"),
        tools["explain_bottleneck"].call(json.dumps({"design": key})),
        tools["simulate"].call('{"design": "ffff"}'),
    ]
    for text in told:
        assert RUN not in text
        assert "2026" not in text
        assert "/" not in text.replace("fill/drain", "")


def numbers(value: Any) -> Any:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for inner in value for number in numbers(inner)]
    return [value] if isinstance(value, float) else []


def test_numbers_have_four_digits(tools: Any) -> None:
    key = shown_first(tools)["key"]
    for name in ("front", "explain_bottleneck", "simulate"):
        said = ask(tools[name], **({} if name == "front" else {"design": key}))
        assert numbers(said)
        assert all(math.isfinite(x) and x == float(f"{x:.4g}") for x in numbers(said))


MISTAKES = [
    ("front", "{", "the arguments are not JSON"),
    ("front", "[1]", "the arguments must be one JSON object"),
    ("front", "[" * 9000, "the arguments are not JSON"),
    ("front", " " * 10_001, "allowed at most 10000 characters"),
    ("front", '{"run": "x"}', "run: unknown key; allowed designs, by"),
    ("front", '{"designs": 1000000000000000}', "designs = 1000000000000000: should be less than"),
    ("front", '{"designs": true}', "designs = True: "),
    ("front", '{"by": "beauty"}', "by = 'beauty': allowed accuracy, latency_ms, energy_uj"),
    ("describe_space", "{}", "space: missing"),
    ("simulate", "{}", "network.depth_1: missing; allowed [1, 2, 3]"),
    ("simulate", '{"design": "ffff"}', "design = 'ffff': not one that front or suggest shows; "),
    ("simulate", '{"design": "../x"}', "design = '../x': should match pattern"),
    ("simulate", '{"network": {"depth_1": NaN}}', "network.depth_1 = nan: "),
    ("simulate", '{"network": {"depth_9": 1}}', "network.depth_9: not a choice of the "),
    ("recall_designs", '{"network": {"bits": 3}}', "bits = 3: allowed [8, 16]"),
    ("estimate_accuracy", '{"networks": []}', "networks = []: "),
    ("estimate_accuracy", '{"networks": [{"bits": 8}]}', "networks.0.depth_1: missing; allowed"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), MISTAKES)
def test_a_mistake_is_one_line_that_a_model_can_act_on(
    tools: Any, name: str, arguments: str, message: str
) -> None:
    text = tools[name].call(arguments)
    assert text.startswith(f"error: {name}: {message}")
    assert len(text.splitlines()) == 1
    assert len(text) < 500


def test_hardware_that_cannot_run_the_network_is_said(small: SimpleNamespace) -> None:
    problem = small.make_problem(hardware={**small.hardware, "bits": [8, 16]})
    toolbox = Toolbox(problem, Pairings(problem), 3, Recollection(), lambda step: History())
    tools = {tool.name: tool for tool in toolbox.for_role("proposer", 0)}
    network = problem.network_space.decode(np.zeros((1, 14), dtype=np.int64))[0]
    hardware = problem.hardware_space.decode(np.zeros((1, 9), dtype=np.int64))[0]
    arguments = json.dumps({"network": {**network, "bits": 16}, "hardware": hardware})
    for name in ("simulate", "explain_bottleneck"):
        assert tools[name].call(arguments).startswith(f"error: {name}: hardware: bits = 8: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(["space", "network", "hardware", "design", "designs", "networks", "by"])


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(NAMES - {"suggest"})),
    arguments=st.text(max_size=60) | st.dictionaries(KEYS, JSON, max_size=3).map(json.dumps),
)
def test_whatever_is_asked_nothing_is_raised(tools: Any, name: str, arguments: str) -> None:
    text = tools[name].call(arguments)
    assert len(text) <= LONGEST_RESULT
    if not text.startswith("error: "):
        json.loads(text)


def test_a_failure_inside_is_an_error_too(problem: Problem, pairings: Pairings) -> None:
    def broken(step: int) -> History:
        raise OSError("/secret/path is gone")

    toolbox = Toolbox(problem, pairings, 3, Recollection(), broken)
    [front, *_] = toolbox.for_role("critic", 2)
    assert front.call("{}") == "error: front: it does not work here (OSError)"


def test_a_long_result_is_cut_and_says_so(problem: Problem, pairings: Pairings) -> None:
    choices = [replace(c, meaning="words " * 60) for c in problem.network_space.choices]
    wordy = replace(problem, network_space=replace(problem.network_space, choices=tuple(choices)))
    toolbox = Toolbox(wordy, pairings, 3, Recollection(), lambda step: History())
    tools = {tool.name: tool for tool in toolbox.for_role("proposer", 0)}
    text = tools["describe_space"].call('{"space": "network"}')
    assert len(text) == LONGEST_RESULT
    assert text.endswith("(cut: ask for less)")
