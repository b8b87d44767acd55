"""The Model Context Protocol server: the SDK's own client against it, over stdio and in process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_client import LEGACY, SERVE, over_stdio, refusal
from runs import TINY_BRIEF

from archwright import mcp_server
from archwright.desk import open_desk
from archwright.mcp_server import build_server
from archwright.settings import Settings
from archwright.tools import all_tools
from archwright.tools.desk import RunState

BRIEF: dict[str, Any] = tomllib.loads(TINY_BRIEF)
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "0"},
}


def at_desk(talk: Callable[[Client], Awaitable[None]], **changed: Any) -> None:
    """In process, at a real desk with some parts exchanged."""

    async def main() -> None:
        with anyio.fail_after(60), open_desk(Settings(), trusted=False) as desk:
            async with Client(build_server(replace(desk, **changed))) as client:
                await talk(client)

    anyio.run(main)


@pytest.mark.parametrize("mode", ["auto", LEGACY])
def test_the_tools_are_those_declared_with_their_schemas(mode: str) -> None:
    async def talk(client: Client) -> None:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == [tool.name for tool in all_tools()]
        for tool, declared in zip(listed, all_tools(), strict=True):
            assert tool.description == declared.description
            assert tool.input_schema == declared.openai_schema()["function"]["parameters"]
            assert tool.output_schema == declared.result.model_json_schema()
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is declared.reads_only
            assert tool.annotations.idempotent_hint is declared.repeatable
            assert tool.annotations.destructive_hint is False
            assert tool.annotations.open_world_hint is False

    over_stdio(talk, mode)


MISTAKES = [
    ("describe_space", {"space": "both"}, "describe_space: space = 'both': should be"),
    ("describe_space", {}, "space: missing"),
    ("front", {"run": "tiny", "size": 3}, "size: unknown key; allowed"),
    ("front", {"run": "../x"}, "run '../x': not known"),
    ("search_status", {"run": "no-such-run"}, "run 'no-such-run': not known"),
    ("stop_search", {"run": "/etc"}, "run '/etc': not known"),
    ("explain_design", {"run": "x", "design": "../x"}, "design = '../x': should match"),
    ("export_design", {"run": "../x", "design": "0123abcd"}, "run '../x': not known"),
    ("evaluate_network", {"run": "..", "network": {}}, "run '..': not known"),
    ("suggest_designs", {"run": "x", "designs": 10**15}, f"designs = {10**15}: should be"),
    ("recall_designs", {}, "at least one is needed"),
    ("recall_designs", {"brief": {"name": "x\ny"}}, "brief"),
    ("no_such_tool", {}, "tool = 'no_such_tool': no such tool; allowed describe_space, "),
]


def test_a_mistake_is_one_line_that_says_what_is_allowed() -> None:
    async def talk(client: Client) -> None:
        for tool, arguments, message in MISTAKES:
            assert message in await refusal(client, tool, arguments)

    over_stdio(talk)


@pytest.mark.parametrize("tool", ["start_search", "check_brief"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_url": "http://127.0.0.1:1/v1"}, "base_url: unknown key"),
        ({"key_variable": "HOME"}, "key_variable: unknown key"),
        ({"models": {"planner": "mine"}}, "models = 'mine': no such model profile"),
        ({"models": {"planner": {"base_url": "http://x"}}}, "models.planner"),
        ({"task": {"data": "{outside}"}}, "a brief from outside may read"),
        ({"task": {"data": "../x"}}, "a brief from outside may read"),
        ({"task": {"data": "digits", "allowed_folders": ["/"]}}, "allowed_folders: unknown key"),
    ],
)
def test_a_brief_may_not_name_endpoints_keys_or_outside_paths(
    tool: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    change = json.loads(json.dumps(change).replace("{outside}", str(tmp_path)))

    async def talk(client: Client) -> None:
        arguments = {"brief": {**BRIEF, **change}}
        if tool == "check_brief":
            result = await client.call_tool(tool, arguments)
            assert result.structured_content["ok"] is False
            assert message in result.structured_content["problem"]
        else:
            assert message in await refusal(client, tool, arguments)
        runs = (await client.read_resource("archwright://runs")).contents[0].text
        assert json.loads(runs) == []

    at_desk(talk)


@pytest.mark.parametrize(
    "uri",
    [
        "archwright://runs/../x",
        "archwright://runs/..%2Fx",
        "archwright://runs/no-such-run",
        "archwright://runs/no-such-run/report",
        "archwright://runs/no-such-run/designs/0123abcd",
        "archwright://runs/x/designs/../../registry.db",
        "archwright://runs/x/archive.db",
        "archwright://runs/",
        "file:///etc/passwd",
    ],
)
def test_an_unknown_resource_is_an_error_in_one_line(uri: str) -> None:
    async def talk(client: Client) -> None:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
        assert "no such resource" in str(caught.value) or "not known" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1

    at_desk(talk)


def test_prompts_are_filled_in_and_their_arguments_checked() -> None:
    async def talk(client: Client) -> None:
        for prompt in (await client.list_prompts()).prompts:
            values = {argument.name: f"<{argument.name}>" for argument in prompt.arguments or []}
            (message,) = (await client.get_prompt(prompt.name, values)).messages
            assert all(value in message.content.text for value in values.values())
            for wrong in ({}, {**values, "more": "x"}, dict.fromkeys(values, "")):
                with pytest.raises(MCPError, match=f"^{prompt.name}: "):
                    await client.get_prompt(prompt.name, wrong)
        with pytest.raises(MCPError, match="no such prompt; allowed design_for_task, "):
            await client.get_prompt("nothing", {})

    at_desk(talk)


class Broken:
    """Runs that fail in a way nobody has foreseen."""

    def status(self, run: str) -> RunState:
        raise ValueError("a secret\nTraceback of /a/path")


def test_what_nobody_has_foreseen_is_a_neutral_line(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(client: Client) -> None:
        line = await refusal(client, "search_status", {"run": "x"})
        assert line == "search_status: failed inside archwright (ValueError); its log says more"
        with pytest.raises(MCPError) as caught:
            await client.read_resource("archwright://runs/x")
        assert "secret" not in str(caught.value)

    at_desk(talk, runs=Broken())
    assert "a secret" in caplog.text


class Slow:
    """Runs whose stop waits until somebody has asked for the status."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def status(self, run: str) -> RunState:
        self.asked.set()
        return self.state("running")

    def stop(self, run: str) -> RunState:
        assert self.asked.wait(30), "the server did not answer while a call was going on"
        return self.state("stopped")

    def state(self, status: str) -> RunState:
        words = dict.fromkeys(("run", "name", "part", "detail", "best", "stopped", "folder"), "x")
        counts = dict.fromkeys(("evaluations", "budget", "rejected", "failed"), 1)
        numbers = {"hypervolume": 0.5, "seconds": 1.0, "seconds_left": None}
        return RunState(**words, **counts, status=status, **numbers)


def test_the_server_answers_and_tells_progress_while_a_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_server, "TICK_S", 0.01)
    told: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async def talk(client: Client) -> None:
        async def stop() -> None:
            result = await client.call_tool("stop_search", {"run": "x"}, progress_callback=note)
            assert result.structured_content["status"] == "stopped"

        async with anyio.create_task_group() as both:
            both.start_soon(stop)
            while len(told) < 3:
                await anyio.sleep(0.01)
            result = await client.call_tool("search_status", {"run": "x"})
            assert result.structured_content["status"] == "running"

    at_desk(talk, runs=Slow())
    assert told == sorted(told)


NOISY = """
import os
from archwright import mcp_server
build = mcp_server.build_server
def noisy(desk):
    print("stray print")
    os.write(1, b"stray write\\n")
    os.system("echo stray child")
    return build(desk)
mcp_server.build_server = noisy
mcp_server.serve()
"""


def test_nothing_but_the_protocol_is_on_standard_output_and_it_ends_with_its_input() -> None:
    requests = [
        {"id": 1, "method": "initialize", "params": HELLO},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
        {
            "id": 3,
            "method": "tools/call",
            "params": {"name": "describe_space", "arguments": {"space": "hardware"}},
        },
    ]
    lines = [json.dumps({"jsonrpc": "2.0", **request}) for request in requests]
    done = subprocess.run(
        [sys.executable, "-c", NOISY],
        input="\n".join([*lines, "not the protocol", ""]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert {answer["jsonrpc"] for answer in answers} == {"2.0"}
    assert {1, 2} <= {answer.get("id") for answer in answers}
    for stray in ("stray print", "stray write", "stray child"):
        assert stray in done.stderr


SLEEPY = """
import time
from archwright import mcp_server
call = mcp_server._call
def sleepy(*arguments):
    time.sleep(1.5)
    return call(*arguments)
mcp_server._call, mcp_server.TICK_S = sleepy, 0.05
mcp_server.serve()
"""


def test_it_ends_quietly_when_its_client_goes_in_the_middle_of_a_call() -> None:
    call = {"name": "describe_space", "arguments": {"space": "hardware"}}
    call["_meta"] = {"progressToken": 1}
    requests = [
        {"id": 1, "method": "initialize", "params": HELLO},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": call},
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for request in requests:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **request}) + "\n")
    process.stdin.flush()
    while "notifications/progress" not in process.stdout.readline():
        pass
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0
    assert "Traceback" not in err


@pytest.mark.slow
def test_the_inspector_lists_and_calls_a_tool() -> None:
    if shutil.which("npx") is None:
        pytest.skip("npx is not installed")

    def inspect(*request: str) -> dict[str, Any]:
        command = ["npx", "--yes", "@modelcontextprotocol/inspector", "--cli"]
        for variable in ("ARCHWRIGHT_HOME", "ARCHWRIGHT_SETTINGS", "PYTHONPATH"):
            if variable in os.environ:
                command += ["-e", f"{variable}={os.environ[variable]}"]
        command += [sys.executable, *SERVE, *request]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("the inspector could not be had within three minutes")
        if done.returncode and "npm error" in done.stderr.lower().replace("npm err!", "npm error"):
            pytest.skip(f"the inspector cannot be had: {done.stderr.splitlines()[0][:200]}")
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    listed = inspect("--method", "tools/list")
    assert [tool["name"] for tool in listed["tools"]] == [tool.name for tool in all_tools()]
    asked = ("--tool-name", "describe_space", "--tool-arg", "space=hardware")
    called = inspect("--method", "tools/call", *asked)
    assert called["structuredContent"]["name"] == "systolic"
