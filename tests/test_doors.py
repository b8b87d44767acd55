"""The three doors (conversation, assistants, command line) offer the same tools."""

from __future__ import annotations

import json

import runs

from archwright.mcp_server import declared
from archwright.tools import all_tools


def test_three_doors_list_the_same_tools_with_the_same_schemas() -> None:
    status, out, err = runs.archwright("tool")
    assert status == 0, err
    command_line = {tool["name"]: tool for tool in json.loads(out)["tools"]}
    model = {
        schema["name"]: schema
        for schema in (tool.openai_schema()["function"] for tool in all_tools())
    }
    assistants = {tool.name: declared(tool) for tool in all_tools()}
    assert list(command_line) == list(model) == list(assistants)
    assert len(command_line) == 15
    for name, shown in assistants.items():
        assert shown.input_schema == model[name]["parameters"] == command_line[name]["arguments"]
        assert shown.output_schema == command_line[name]["result"]
        assert shown.description == model[name]["description"] == command_line[name]["description"]


def test_a_tool_can_be_called_from_the_command_line() -> None:
    status, out, err = runs.archwright("tool", "describe_space", '{"space": "hardware"}')
    assert status == 0, err
    assert json.loads(out)["name"] == "systolic"
    for arguments, mistake in (
        (("nothing",), "tool = 'nothing': allowed describe_space"),
        (("describe_space", "{"), "arguments: not JSON"),
        (("describe_space", "[]"), "arguments: allowed a JSON object"),
        (("front", '{"run": "../x"}'), "not known"),
    ):
        status, _, err = runs.archwright("tool", *arguments)
        assert status == 2
        assert mistake in err
        assert len(err.strip().splitlines()) == 1
