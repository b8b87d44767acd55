"""What every tool keeps to. A new tool needs an entry in EXAMPLES and WRONG, and passes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from archwright.desk import open_desk
from archwright.errors import UserError
from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import InputShape, network_space
from archwright.settings import load_settings
from archwright.tools import all_tools
from archwright.tools.desk import Desk
from archwright.tools.tool import Tool

TOOLS = {tool.name: tool for tool in all_tools()}
SHAPE = InputShape(channels=1, side=8, classes=10)
NETWORK = network_space(SHAPE).decode(np.zeros((1, 14), dtype=np.int64))[0]
HARDWARE = hardware_space().decode(np.array([[1, 1, 0, 1, 1, 1, 1, 1, 1]]))[0]

BRIEF: dict[str, Any] = {
    "name": "small",
    "task": {"data": "digits"},
    "objectives": {"accuracy": "maximise", "latency_ms": "minimise"},
    "budget": {"evaluations": 6},
}
DESIGN = "0123456789abcdef"

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "describe_space": [
        {"space": "hardware"},
        {"space": "network"},
        {"space": "network", "channels": 3, "side": 32, "classes": 100},
    ],
    "simulate_hardware": [
        {"network": NETWORK, "hardware": HARDWARE},
        {"network": {**NETWORK, "bits": 8.0}, "hardware": {**HARDWARE, "dram_gb_per_s": 1}},
        {
            "network": network_space(InputShape(3, 32, 100)).decode(np.zeros((1, 14), dtype=int))[
                0
            ],
            "hardware": HARDWARE,
            "channels": 3,
            "side": 32,
            "classes": 100,
        },
    ],
    "explain_bottleneck": [
        {"network": NETWORK, "hardware": HARDWARE},
        {"network": NETWORK, "hardware": {**HARDWARE, "dram_gb_per_s": 16}},
    ],
    "check_brief": [{"brief": BRIEF}, {"brief": {**BRIEF, "seed": -1}}, {"brief": {}}],
    "recall_designs": [{"brief": BRIEF}, {"network": NETWORK, "designs": 1}],
    # The others need a run: tests/tools/test_run_tools.py.
    **{
        name: []
        for name in (
            "evaluate_network",
            "estimate_accuracy",
            "suggest_designs",
            "start_search",
            "search_status",
            "stop_search",
            "front",
            "explain_design",
            "compare_designs",
            "export_design",
        )
    },
}
NO_RUN: list[tuple[dict[str, Any], str]] = [
    ({"run": "nowhere"}, "run 'nowhere': not known; known runs: none"),
    ({"run": "../x"}, "run '../x': not known; known runs: none"),
    ({"run": "/etc/passwd"}, "run '/etc/passwd': not known"),
    ({"run": ""}, "run = '': should have at least 1 character"),
    ({"run": "a" * 65}, f"run = '{'a' * 65}': should have at most 64 characters"),
    ({"run": 7}, "run = 7: allowed a text"),
    ({}, "run: missing"),
]


def of_a_run(
    more: dict[str, Any], *wrong: tuple[dict[str, Any], str]
) -> list[tuple[dict[str, Any], str]]:
    """The mistakes of a tool that wants a run and ``more``, and its own."""
    return [
        *(({**run, **more}, message) for run, message in NO_RUN),
        *(({"run": "nowhere", **more, **own}, message) for own, message in wrong),
    ]


NO_DESIGN = [
    ({"design": "../x"}, "design = '../x': should match pattern"),
    ({"design": "abc"}, "design = 'abc': should match pattern"),
    ({"design": DESIGN + "0"}, f"design = '{DESIGN}0': should match pattern"),
]
WRONG: dict[str, list[tuple[dict[str, Any], str]]] = {
    "describe_space": [
        ({}, "space: missing"),
        ({"space": "both"}, "space = 'both': should be 'network' or 'hardware'"),
        (
            {"space": "network", "side": 10**15},
            f"side = {10**15}: should be less than or equal to 256",
        ),
        ({"space": "network", "side": True}, "side = True: should be a valid integer"),
        ({"space": "network", "channels": 2}, "channels = 2: should be 1 or 3"),
        (
            {"space": "network", "size": 8},
            "size: unknown key; allowed channels, side, classes, family, space",
        ),
    ],
    "simulate_hardware": [
        ({"hardware": HARDWARE}, "network: missing"),
        ({"network": 8, "hardware": HARDWARE}, "network = 8: allowed a table"),
        (
            {"network": {**NETWORK, "bits": [8]}, "hardware": HARDWARE},
            "network.bits = [8]: allowed a number or a word",
        ),
        (
            {"network": {**NETWORK, "bits": True}, "hardware": HARDWARE},
            "network.bits = True: allowed a number or a word",
        ),
        (
            {"network": {**NETWORK, "bits": 10**15}, "hardware": HARDWARE},
            f"network.bits = {10**15}: allowed numbers up to 1e+09",
        ),
        (
            {"network": {**NETWORK, "bits": 7}, "hardware": HARDWARE},
            "network.bits = 7: allowed [8, 16]",
        ),
        (
            {"network": NETWORK, "hardware": {**HARDWARE, "bits": 7}},
            "hardware.bits = 7: allowed [8, 16]",
        ),
        (
            {"network": NETWORK, "hardware": {**HARDWARE, "cores": 7}},
            "hardware.cores: not a choice of the systolic space; its choices are rows, ",
        ),
        ({"network": NETWORK, "hardware": {"rows": 4}}, "hardware.columns: missing; allowed [4, "),
        (
            {"network": {**NETWORK, "bits": 16}, "hardware": {**HARDWARE, "bits": 8}},
            "hardware: bits = 8: ",
        ),
        (
            {"network": NETWORK, "hardware": HARDWARE, "classes": 1},
            "classes = 1: should be greater than or equal to 2",
        ),
    ],
    "explain_bottleneck": [
        ({"hardware": HARDWARE}, "network: missing"),
        (
            {"network": {**NETWORK, "bits": 7}, "hardware": HARDWARE},
            "network.bits = 7: allowed [8, 16]",
        ),
        (
            {"network": NETWORK, "hardware": {**HARDWARE, "rows": 5}},
            "hardware.rows = 5: allowed [4, 8, ",
        ),
        (
            {"network": {**NETWORK, "bits": 16}, "hardware": {**HARDWARE, "bits": 8}},
            "hardware: bits = 8: ",
        ),
        *(
            ({"network": NETWORK, "hardware": HARDWARE, **run}, message)
            for run, message in NO_RUN[:5]
        ),
    ],
    "check_brief": [
        ({}, "brief: missing"),
        ({"brief": "small"}, "brief = 'small': allowed a table"),
    ],
    "start_search": [
        ({}, "brief: missing"),
        ({"brief": BRIEF, "hours": 0}, "hours = 0: should be greater than 0"),
        ({"brief": BRIEF, "hours": 10**9}, f"hours = {10**9}: should be less than or equal"),
        ({"brief": {**BRIEF, "seed": -1}}, "brief: seed = -1: "),
        ({"brief": {**BRIEF, "endpoint": "x"}}, "brief: endpoint: unknown key; allowed name, "),
        ({"brief": {**BRIEF, "key_variable": "x"}}, "brief: key_variable: unknown key"),
        (
            {"brief": {**BRIEF, "models": {"planner": "mine"}}},
            "models = 'mine': no such model profile",
        ),
        (
            {"brief": {**BRIEF, "task": {"data": "/etc/passwd"}}},
            "task.data = '/etc/passwd': a brief from outside may read digits",
        ),
        (
            {"brief": {**BRIEF, "task": {"data": "../x.npz"}}},
            "task.data = '../x.npz': a brief from outside may read digits",
        ),
        (
            {"brief": {**BRIEF, "constraints": {"latency_ms": {"at_most": 1e-9}}}},
            "constraints.latency_ms.at_most = 1e-09: the least found",
        ),
        (
            {"brief": {**BRIEF, "hardware": {"fixed": {"rows": 8}}}},
            "hardware.fixed.columns: missing",
        ),
    ],
    "recall_designs": [
        ({}, "brief, network or hardware: at least one is needed"),
        ({"brief": {}}, "brief: name: missing"),
        ({"network": NETWORK, "designs": 51}, "designs = 51: should be less than or equal to 50"),
    ],
    "search_status": of_a_run({}),
    "stop_search": of_a_run({}),
    "front": of_a_run(
        {},
        ({"designs": 0}, "designs = 0: should be greater than or equal to 1"),
        ({"by": "beauty"}, "by = 'beauty': should be 'accuracy', "),
    ),
    "explain_design": of_a_run({"design": DESIGN}, *NO_DESIGN),
    "export_design": of_a_run({"design": DESIGN}, *NO_DESIGN),
    "compare_designs": of_a_run(
        {"designs": [DESIGN, DESIGN]},
        ({"designs": [DESIGN]}, f"designs = ['{DESIGN}']: "),
        ({"designs": [DESIGN, "../x"]}, "designs.1 = '../x': should match pattern"),
    ),
    "evaluate_network": of_a_run({"network": NETWORK}, ({"network": 1}, "network = 1: allowed a")),
    "estimate_accuracy": of_a_run(
        {"networks": [NETWORK]},
        ({"networks": []}, "networks = []: "),
        ({"networks": [NETWORK] * 17}, "networks = [{"),
        ({"networks": [1]}, "networks.0 = 1: allowed a table"),
    ),
    "suggest_designs": of_a_run(
        {},
        ({"designs": 17}, "designs = 17: should be less than or equal to 16"),
        ({"without": ["x"]}, "without.0 = 'x': should match pattern"),
    ),
}

every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS.keys())
each_example = pytest.mark.parametrize(
    ("tool", "arguments"), [(TOOLS[name], a) for name, group in EXAMPLES.items() for a in group]
)
each_mistake = pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [(TOOLS[name], a, message) for name, group in WRONG.items() for a, message in group],
)
AnyTool = Tool[Any, Any]


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk over an empty home, for what comes from outside."""
    with open_desk(load_settings(), trusted=False) as desk:
        yield desk


def test_every_tool_is_tried_here() -> None:
    assert len(TOOLS) == len(all_tools()), "two tools with one name"
    assert set(TOOLS) == set(EXAMPLES) == set(WRONG)


@every_tool
def test_its_name_suits_every_interface_and_it_says_what_it_is_for(tool: AnyTool) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", tool.name)
    assert tool.description != tool.name
    assert 20 < len(tool.description) < 400
    assert tool.arguments.__doc__
    assert tool.result.__doc__


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and everything in it that is a schema, breadth after depth."""
    if isinstance(schema, dict):
        if {"type", "anyOf", "$ref", "enum", "const"} & schema.keys():
            yield schema
        for inner in schema.values():
            yield from subschemas(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from subschemas(inner)


@every_tool
def test_its_schema_is_closed_and_bounds_every_number_and_text(tool: AnyTool) -> None:
    """A small model that obeys a schema still writes 10^15."""
    schema = tool.openai_schema()["function"]["parameters"]
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert set(schema.get("required", [])) <= set(schema["properties"])
    for part in subschemas(schema):
        kind = part.get("type")
        if "enum" in part or "const" in part:
            continue
        if kind in ("integer", "number"):
            assert part.get("minimum", part.get("exclusiveMinimum")) is not None, part
            assert part.get("maximum", part.get("exclusiveMaximum")) is not None, part
        if kind == "string":
            assert "maxLength" in part or "pattern" in part, part
        if kind == "array":
            assert "maxItems" in part, part
        if kind == "object" and "properties" not in part:
            assert "maxProperties" in part, part


@every_tool
def test_its_openai_schema_goes_through_json(tool: AnyTool) -> None:
    schema = tool.openai_schema()
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["type"] == "function"
    assert schema["function"]["name"] == tool.name
    assert schema["function"]["description"] == tool.description


@each_example
def test_its_result_is_what_it_declares_and_plain_json(
    tool: AnyTool, arguments: dict[str, Any], desk: Desk
) -> None:
    result = tool.call(json.loads(json.dumps(arguments)), desk)
    assert isinstance(result, tool.result)
    assert isinstance(result, BaseModel)
    text = json.dumps(result.model_dump(mode="json"), allow_nan=False)
    assert tool.result.model_validate_json(text) == result
    assert tool.call(arguments, desk) == result, "the same arguments give the same result"


@each_mistake
def test_a_wrong_argument_is_one_line_with_what_is_allowed(
    tool: AnyTool, arguments: dict[str, Any], message: str, desk: Desk
) -> None:
    with pytest.raises(UserError) as caught:
        tool.call(arguments, desk)
    text = str(caught.value)
    own = text.removeprefix(f"{tool.name}: ")
    assert own.startswith(message)
    assert len(text.splitlines()) == 1
    assert len(text) < 400


@every_tool
@pytest.mark.parametrize("arguments", [{"no_such_argument": 1}, {"\x1b[2J\n": 1}])
def test_an_unknown_argument_is_refused(
    tool: AnyTool, arguments: dict[str, Any], desk: Desk
) -> None:
    with pytest.raises(UserError, match="unknown key; allowed ") as caught:
        tool.call(arguments, desk)
    assert str(caught.value).isprintable()


def test_a_described_space_is_the_space(desk: Desk) -> None:
    for arguments, space in (
        ({"space": "hardware"}, hardware_space()),
        ({"space": "network"}, network_space(SHAPE)),
    ):
        described = TOOLS["describe_space"].call(arguments, desk)
        assert (described.name, described.size) == (space.name, space.size)
        assert [(c.name, tuple(c.values), c.unit, c.meaning) for c in described.choices] == [
            (c.name, c.values, c.unit, c.meaning) for c in space.choices
        ]


def test_a_simulation_s_layers_add_up_to_its_totals(desk: Desk) -> None:
    simulation = TOOLS["simulate_hardware"].call(EXAMPLES["simulate_hardware"][0], desk)
    totals, layers = simulation.totals, simulation.layers
    assert simulation.fidelity == "analytical"
    assert sum(layer.cycles for layer in layers) == totals["cycles"]
    assert sum(layer.stall_cycles for layer in layers) == totals["stall_cycles"]
    assert sum(layer.energy_uj for layer in layers) == pytest.approx(totals["energy_uj"])
    assert sum(layer.latency_us for layer in layers) == pytest.approx(1000 * totals["latency_ms"])


def test_numbers_of_another_type_cost_the_same(desk: Desk) -> None:
    one, other = (
        TOOLS["simulate_hardware"].call(EXAMPLES["simulate_hardware"][k], desk) for k in (0, 1)
    )
    assert one == other


def test_every_result_has_a_plain_schema_that_says_what_it_is() -> None:
    for tool in TOOLS.values():
        schema = tool.result.model_json_schema()
        assert json.loads(json.dumps(schema, allow_nan=False)) == schema
        assert schema["type"] == "object"


def test_a_checked_brief_says_how_it_was_understood(desk: Desk) -> None:
    checked = TOOLS["check_brief"].call({"brief": BRIEF}, desk)
    assert (checked.ok, checked.problem, checked.classes) == (True, "", 10)
    assert sum(checked.images.values()) == 1797
    assert checked.brief["seed"] == 0
    assert checked.networks == network_space(SHAPE).size
    assert checked.hardware == hardware_space().size


@pytest.mark.parametrize(
    ("arguments", "message"), [w for w in WRONG["start_search"] if set(w[0]) == {"brief"}]
)
def test_check_brief_finds_what_start_search_would_refuse(
    arguments: dict[str, Any], message: str, desk: Desk
) -> None:
    checked = TOOLS["check_brief"].call(arguments, desk)
    assert not checked.ok
    assert checked.problem.startswith(message)


def test_neither_good_nor_bad_briefs_leave_anything(desk: Desk, home: Path) -> None:
    before = sorted(path for path in home.rglob("*"))
    for arguments in (*EXAMPLES["check_brief"], {"brief": {**BRIEF, "name": "../x"}}):
        TOOLS["check_brief"].call(arguments, desk)
    for arguments, _ in WRONG["start_search"]:
        with pytest.raises(UserError):
            TOOLS["start_search"].call(arguments, desk)
    assert sorted(path for path in home.rglob("*")) == before
    assert desk.registry.list() == []


def test_data_inside_an_allowed_folder_is_read(
    desk: Desk, tmp_path: Path, settings_file: Path
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (200, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", x=images, y=np.arange(200) % 4)
    brief = {**BRIEF, "task": {"data": str(tmp_path / "mine.npz")}}
    assert not TOOLS["check_brief"].call({"brief": brief}, desk).ok
    settings_file.write_text(f"allowed_folders = [{str(tmp_path)!r}]", encoding="utf-8")
    with open_desk(load_settings(), trusted=False) as allowed:
        checked = TOOLS["check_brief"].call({"brief": brief}, allowed)
    assert checked.ok, checked.problem
    assert checked.classes == 4


def test_the_user_s_own_relative_path_starts_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.zeros((200, 8, 8), dtype=np.uint8)
    np.savez("mine.npz", x=images, y=np.arange(200) % 4)
    with open_desk(load_settings(), trusted=True) as desk:
        brief = {**BRIEF, "task": {"data": "mine.npz"}}
        checked = TOOLS["check_brief"].call({"brief": brief}, desk)
    assert checked.ok, checked.problem
    assert checked.brief["task"]["data"] == str(tmp_path / "mine.npz")
