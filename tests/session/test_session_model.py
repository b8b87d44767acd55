"""Plain language: the scripted model streams, calls tools, and asks before it spends."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs

from archwright.session.store import Session

BRIEF = tomllib.loads(runs.TINY_BRIEF)


def sent(server: Any, number: int = -1) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = server.requests[number].json["messages"]
    return messages


def test_a_turn_calls_tools_and_answers(
    open_terminal: Callable[..., Any],
    start_chat_server: Callable[..., Any],
    reply: Any,
    settings_file: Path,
) -> None:
    answers = [
        reply("Let me look.", calls=(("check_brief", {"brief": BRIEF}), ("front", {"run": "x"}))),
        reply("The brief is fine: 14 evaluations.\x1b[2J", usage=(100, 10)),
    ]
    server = start_chat_server(lambda request, number: answers[number])
    settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
    t = open_terminal()
    assert "model m" in t.welcome
    output = t.does("design something small for digits")
    assert "Let me look." in output
    assert "· check_brief" in output
    assert "The brief is fine: 14 evaluations.[2J" in output
    first = server.requests[0].json
    assert first["stream"] is True
    assert len(first["tools"]) == 15
    roles = [message["role"] for message in sent(server)]
    assert roles == ["system", "user", "assistant", "tool", "tool"]
    assert '"ok":true' in sent(server)[3]["content"]
    assert sent(server)[4]["content"].startswith("<data>\nerror: run 'x': not known")
    assert "evaluations = 14" in t.does("/brief"), "the brief has grown out of the talk"
    t.kill()
    with Session.open(t.session) as session:
        assert [m["role"] for m in session.state.messages] == [*roles[1:], "assistant"]
        assert session.state.spent.requests == 2


def test_a_search_needs_the_user_s_yes(
    open_terminal: Callable[..., Any],
    start_chat_server: Callable[..., Any],
    reply: Any,
    settings_file: Path,
) -> None:
    wrong = {**BRIEF, "task": {"data": "/etc/hostname"}}
    answers = [
        reply(calls=(("start_search", {"brief": wrong}),)),
        reply(calls=(("start_search", {"brief": BRIEF, "hours": 1.0}),)),
        {"question": "", "plan": "look over the whole space first"},
        "What should be different?",
    ]
    server = start_chat_server(lambda request, number: answers[number])
    settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
    t = open_terminal()
    t.send("search now")
    shown = t.until("[y/n] ")
    assert "evaluations = 14" in shown, "the brief is shown before the question"
    assert "the planner's plan: look over the whole space first" in shown
    assert "What should be different?" in t.does("n")
    assert "a brief from outside may read digits" in sent(server, 1)[-1]["content"]
    assert "the user said no" in sent(server)[-1]["content"]
    assert "no run in this session yet" in t.does("/status")


def test_a_failing_endpoint_is_one_line_and_ctrl_c_stops_the_turn_only(
    open_terminal: Callable[..., Any],
    start_chat_server: Callable[..., Any],
    reply: Any,
    settings_file: Path,
) -> None:
    script = {
        0: reply("tools are not supported", status=400),
        1: reply("one two three four", chunk_s=0.5),
        2: reply("", raw=b"<html>"),
        3: reply(drop=True),
        4: reply("still here"),
    }
    server = start_chat_server(lambda request, number: script[number])
    settings_file.write_text(server.settings_toml("m", max_retries=0), encoding="utf-8")
    t = open_terminal()
    output = t.does("hello")
    assert "model m: HTTP 400: tools are not supported; the / commands work" in " ".join(
        output.split()
    )
    t.send("hello again")
    t.until("one ")
    t.process.sendintr()
    assert "stopped; the session and its runs go on" in t.until("archwright> ")
    assert "the answer broke off" in t.does("and now?")
    assert "model m: " in t.does("and now?")
    assert "still here" in t.does("and now?")
    assert any("(interrupted)" in str(m["content"]) for m in sent(server))
    assert "still needed" in t.does("/brief")


def test_a_stream_that_ends_early_counts_as_interrupted(
    open_terminal: Callable[..., Any],
    start_chat_server: Callable[..., Any],
    reply: Any,
    settings_file: Path,
) -> None:
    script = {
        0: reply("stream_options are not supported", status=400),
        1: reply("I call", calls=(("stop_search", {"run": "x"}),), cut=True),
        2: reply("as much as fits", finish_reason="length"),
    }
    server = start_chat_server(lambda request, number: script[number])
    settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
    t = open_terminal()
    output = " ".join(t.does("hello").split())
    assert "model m: the answer broke off: its stream ended early" in output
    assert "stop run" not in output, "a call of a cut answer is not made"
    assert "stream_options" not in server.requests[1].json
    output = t.does("go on")
    assert any("I call (interrupted)" in str(message["content"]) for message in sent(server))
    assert "as much as fits" in output
    assert "(cut at 2048 tokens" in output


@pytest.mark.parametrize(
    ("limit", "value"), [("tokens", "50"), ("requests", "0"), ("dollars", "0.001")]
)
def test_the_budget_holds(
    limit: str,
    value: str,
    open_terminal: Callable[..., Any],
    start_chat_server: Callable[..., Any],
    settings_file: Path,
) -> None:
    server = start_chat_server(lambda request, number: "yes")
    prices = {f"dollars_per_million_tokens_{name}": 10.0 for name in ("in", "out")}
    settings_file.write_text(server.settings_toml("m", **prices), encoding="utf-8")
    t = open_terminal()
    t.does(f"/brief set budget.{limit} {value}")
    said = t.does("hello")
    assert f"budget spent: {limit} of the session" in said
    assert f"/brief set budget.{limit} raises it" in " ".join(said.split())
    assert server.requests == []


def test_figures_that_nothing_measured_are_named_below_the_answer(
    open_terminal: Callable[..., Any],
    start_chat_server: Callable[..., Any],
    reply: Any,
    settings_file: Path,
    files: tuple[Path, Path],
) -> None:
    network = tomllib.loads(files[0].read_text(encoding="utf-8"))
    hardware = tomllib.loads(files[1].read_text(encoding="utf-8"))
    points = {"network": network["network"], "hardware": hardware, **network["input"]}

    def script(request: dict[str, Any], number: int) -> Any:
        if number == 0:
            return reply("An accuracy of 0.97 is likely.", calls=(("simulate_hardware", points),))
        content = request["messages"][-1]["content"]
        latency = re.search(r'"latency_ms":([0-9.e+-]+)', content)
        return {
            1: f"It takes {float(latency[1]) if latency else 0:.3g} ms. The area is 1.23 mm2!",
            2: "As you wish: below 0.5 ms, 2x faster, with an accuracy of 0.91 and 8 bits.",
        }[number]

    server = start_chat_server(script)
    settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
    t = open_terminal()
    output = t.does("how fast is it?")
    assert output.count("not from a measurement: ") == 2
    assert "not from a measurement: accuracy 0.97" in output
    assert "not from a measurement: area 1.23 mm2" in output
    content = sent(server)[-1]["content"]
    assert content.startswith("<data>\n{")
    assert content.endswith("}\n</data>")
    output = t.does("I want it below 0.5 ms")
    assert output.count("not from a measurement: ") == 1
    assert "not from a measurement: accuracy 0.91\n" in output.replace("\r", "")
