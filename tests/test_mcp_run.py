"""A real search through the Model Context Protocol: every tool, several clients, the docs' walk."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, MCPError
from mcp_client import LEGACY, over_stdio, refusal
from runs import TINY_BRIEF

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[1] / "docs" / "mcp.md"
BRIEF: dict[str, Any] = {
    **tomllib.loads(TINY_BRIEF),
    "seed": 0,  # the walk's, so that both have the same supernet
    "supernet": {"epochs": 1},
    "budget": {"evaluations": 6},
}


async def ask(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A tool's structured result, checked against the schema that the server lists for it."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    (listed,) = [t for t in (await client.list_tools()).tools if t.name == tool]
    Draft202012Validator(listed.output_schema).validate(result.structured_content)
    assert json.loads(result.content[0].text) == result.structured_content
    answer: dict[str, Any] = result.structured_content
    return answer


async def until_it_ends(client: Client, run: str) -> dict[str, Any]:
    while True:
        state = await ask(client, "search_status", {"run": run})
        if state["status"] != "running":
            return state
        await anyio.sleep(0.3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One home for all tests of this file, as environment variables."""
    world = tmp_path_factory.mktemp("mcp")
    return {
        "ARCHWRIGHT_HOME": str(world / "home"),
        "ARCHWRIGHT_SETTINGS": str(world / "settings.toml"),
        "ARCHWRIGHT_LOOPBACK_ONLY": "1",
    }


@pytest.fixture(scope="module")
def run(place: dict[str, str]) -> Iterator[str]:
    """The id of a search that one client started and another saw finish."""
    started: list[str] = []

    async def begin(client: Client) -> None:
        arguments = {"brief": BRIEF, "hours": 0.5}
        started.append((await ask(client, "start_search", arguments))["run"])
        assert (await ask(client, "search_status", {"run": started[0]}))["status"] == "running"

    async def finish(client: Client) -> None:
        state = await until_it_ends(client, started[0])
        assert state["status"] == "finished", state
        assert 0 < state["evaluations"] <= 6

    with ExitStack() as held:
        held.callback(lambda: over_stdio(stop_all, **place))
        over_stdio(begin, **place)
        over_stdio(finish, **place)
        yield started[0]


async def stop_all(client: Client) -> None:
    """Leave no search behind, whatever a test did."""
    runs = json.loads((await client.read_resource("archwright://runs")).contents[0].text)
    for entry in runs:
        if entry["status"] == "running":
            await client.call_tool("stop_search", {"run": entry["run"]})


def test_every_tool_answers_by_its_schema(run: str, place: dict[str, str]) -> None:
    async def talk(client: Client) -> None:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        front = await ask(client, "front", {"run": run})
        design = front["designs"][0]
        key, network, hardware = design["key"], design["network"], design["hardware"]
        both = [key, front["designs"][-1]["key"]]
        calls: dict[str, dict[str, Any]] = {
            "describe_space": {"space": "network"},
            "check_brief": {"brief": BRIEF},
            "simulate_hardware": {"network": network, "hardware": hardware},
            "explain_bottleneck": {"network": network, "hardware": hardware, "run": run},
            "evaluate_network": {"run": run, "network": network},
            "estimate_accuracy": {"run": run, "networks": [network]},
            "suggest_designs": {"run": run, "designs": 2},
            "search_status": {"run": run},
            "stop_search": {"run": run},
            "explain_design": {"run": run, "design": key},
            "compare_designs": {"run": run, "designs": both},
            "recall_designs": {"brief": BRIEF, "designs": 3},
            "export_design": {"run": run, "design": key},
        }
        assert listed == {*calls, "front", "start_search"}
        answers = {tool: await ask(client, tool, arguments) for tool, arguments in calls.items()}
        assert answers["check_brief"]["ok"]
        assert answers["recall_designs"]["designs"][0]["run"] == run
        measured = answers["evaluate_network"]["accuracy_validation"]
        assert measured == design["metrics"]["accuracy_validation"]
        assert answers["stop_search"]["status"] == "finished"
        assert "network.onnx" in answers["export_design"]["files"]
        assert answers["explain_bottleneck"]["slowest"]
        assert len(answers["estimate_accuracy"]["estimates"]) == 1
        totals = answers["simulate_hardware"]["totals"]
        assert totals["latency_ms"] == pytest.approx(design["metrics"]["latency_ms"]["value"])

    over_stdio(talk, LEGACY, **place)


def test_a_run_its_report_and_its_designs_are_resources(run: str, place: dict[str, str]) -> None:
    async def talk(client: Client) -> None:
        async def text(uri: str) -> str:
            return str((await client.read_resource(uri)).contents[0].text)

        addresses = [resource.uri for resource in (await client.list_resources()).resources]
        own = f"archwright://runs/{run}"
        assert {"archwright://runs", own, f"{own}/report"} <= set(addresses)
        for address in addresses:
            assert await text(address)
        assert run in {entry["run"] for entry in json.loads(await text("archwright://runs"))}
        assert json.loads(await text(own)) == await ask(client, "search_status", {"run": run})
        folder = Path(place["ARCHWRIGHT_HOME"]) / "runs" / run
        assert await text(f"{own}/report") == (folder / "report.md").read_text(encoding="utf-8")
        design = (await ask(client, "front", {"run": run}))["designs"][0]
        card = await text(f"{own}/designs/{design['key']}")
        assert card.startswith(f"# Design {design['key']}\n")
        assert "| latency_ms |" in card
        explained = await ask(client, "explain_design", {"run": run, "design": design["key"]})
        assert card.count("\n| ") >= len(explained["layers"]) + len(design["metrics"])
        for rest in ("/designs/../../registry.db", "/../x", "/archive.db", "/designs/0000000000"):
            with pytest.raises(MCPError):
                await text(own + rest)
        wrong = {"run": run, "design": "0000000000"}
        assert "not a design of this run" in await refusal(client, "explain_design", wrong)

    over_stdio(talk, **place)


def test_a_search_is_stopped_by_another_client(run: str, place: dict[str, str]) -> None:
    started: list[str] = []

    async def begin(client: Client) -> None:
        brief = {**BRIEF, "budget": {"evaluations": 3000}}
        started.append((await ask(client, "start_search", {"brief": brief}))["run"])

    async def stop(client: Client) -> None:
        while not (await ask(client, "search_status", {"run": started[0]}))["evaluations"]:
            await anyio.sleep(0.2)
        await client.call_tool("stop_search", {"run": started[0]})
        state = await until_it_ends(client, started[0])
        assert state["status"] in ("finished", "stopped")
        assert 0 < state["evaluations"] < 3000
        report = await client.read_resource(f"archwright://runs/{started[0]}/report")
        assert report.contents[0].text

    over_stdio(begin, **place)
    over_stdio(stop, **place)


def test_the_walk_of_the_docs_is_walked(run: str, place: dict[str, str]) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```$", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    parsed = [json.loads(block) for block in blocks]
    calls = [block for block in parsed if "tool" in block]
    assert len(calls) >= 6
    assert all("mcp" in json.dumps(block) for block in parsed if "tool" not in block)
    known: dict[str, str] = {}

    async def talk(client: Client) -> None:
        for call in calls:
            text = json.dumps(call["arguments"])
            for name, value in known.items():
                text = text.replace(f'"{name}"', json.dumps(value))
            answer = await ask(client, call["tool"], json.loads(text))
            if call["tool"] == "check_brief":
                assert answer["ok"], answer["problem"]
            if call["tool"] == "start_search":
                known["RUN"] = answer["run"]
            if call["tool"] == "search_status":
                assert (await until_it_ends(client, known["RUN"]))["status"] == "finished"
            if call["tool"] == "front":
                keys = [design["key"] for design in answer["designs"]]
                known.update(DESIGN=keys[0], OTHER=keys[-1])

    over_stdio(talk, **place)
