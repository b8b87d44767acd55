"""Faults of the connection and the server, and the keys: against a real local HTTP server."""

import json
import logging
import re
import socket
import time

import pytest
from asking import GOOD, ask, failure, say

from archwright.agents.model.endpoint import BROKEN_OFF, Endpoint, is_loopback
from archwright.agents.model.limits import Limits
from archwright.agents.model.port import ModelPort
from archwright.agents.model.probing import check_endpoint
from archwright.agents.model.wire import (
    MOST_CALLS,
    Completion,
    EndpointFault,
    ToolCall,
    read_completion,
)
from archwright.settings import Profile

KEY = "plain-0123456789-never-shown"


# Faults of the connection and the server


def test_a_time_out_fails_without_a_second_try(port_to, reply):
    port, server = port_to(say(reply(GOOD, delay_s=2.0)), timeout_s=0.1, max_retries=3)
    assert failure(port) == "time-out after 0.1 s"
    assert len(server.requests) == 1


def test_a_body_that_trickles_in_times_out(port_to, reply):
    port, _ = port_to(say(reply(GOOD, trickle_s=0.01)), timeout_s=0.2)
    assert failure(port) == "time-out after 0.2 s"


def test_a_dropped_connection_is_tried_again(port_to, reply):
    port, server = port_to(say(reply(drop=True), GOOD))
    assert ask(port).attempts == 2
    port, server = port_to(say(reply(drop=True)), max_retries=2)
    assert failure(port) == "connection dropped"
    assert len(server.requests) == 3


def test_a_refused_connection_fails_and_costs_nothing():
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        port = ModelPort(Profile(base_url=url, model="x"), Limits(10**6, 1.0))
        assert failure(port) == "could not connect"
    assert port.limits.spent.tokens == 0


def test_a_server_error_is_tried_again_and_then_fails(port_to, reply):
    port, server = port_to(say(GOOD, reply("overloaded", status=503), GOOD))
    ask(port)
    assert ask(port).attempts == 2

    port, server = port_to(say(reply("out of\nmemory", status=500)))
    assert failure(port) == "HTTP 500: out of memory"
    assert len(server.requests) == 5  # four forms, then one retry


def test_too_many_requests_waits_as_told_within_bounds(port_to, reply):
    wait = reply("slow down", status=429, headers={"retry-after": "0.2"})
    port, server = port_to(say(wait, GOOD))
    started = time.monotonic()
    assert ask(port).attempts == 2
    assert time.monotonic() - started >= 0.2

    for header in ("3600", "Fri, 31 Dec 2999 23:59:59 GMT"):
        port, server = port_to(say(reply("later", status=429, headers={"retry-after": header})))
        assert "it asks to wait" in failure(port)
        assert len(server.requests) == 1
    for header in ("nan", "-5", "soon", "Sun, 06 Nov 1994 08:49:37 GMT"):
        port, server = port_to(
            say(reply("later", status=429, headers={"retry-after": header}), GOOD)
        )
        assert ask(port).attempts == 2


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_other_statuses_fail_at_once(port_to, reply, status: int):
    away = {"location": "http://192.0.2.1/v1/chat/completions"}
    port, server = port_to(say(reply("no", status=status, headers=away)))
    assert failure(port).startswith(f"HTTP {status}")
    assert len(server.requests) == 1


# Keys, and what stays on this machine


def test_the_key_reaches_the_server_and_nothing_else(port_to, reply, monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", KEY)
    echo = f"wrong key {KEY} in\nBearer {KEY}, sk-another-0123456789"
    seen = []
    with caplog.at_level(logging.DEBUG):
        for said in (
            reply(echo, status=401),
            reply(echo, status=500),
            reply("x" * 190 + KEY, status=401),
            reply(f"no JSON but {KEY}"),
            reply({"bits": KEY}),
            reply({KEY: 1}),
            reply(raw=KEY.encode()),
        ):
            port, server = port_to(say(said), key_variable="MY_KEY")
            seen += [failure(port), repr(port), repr(port.profile), str(vars(port))]
            assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        escaped = '{"bits": 8, "why": "' + "".join(f"\\u{ord(c):04x}" for c in KEY) + '"}'
        port, _ = port_to(say(escaped), key_variable="MY_KEY")
        seen.append(str(ask(port)))
        assert "[key]" in seen[-1]
    seen.append(caplog.text)
    for text in seen:
        assert KEY[:12] not in text
        assert "another" not in text


@pytest.mark.parametrize(("value", "reason"), [("", "is not set"), ("kéy", "no key has")])
def test_a_missing_or_impossible_key_fails(port_to, monkeypatch, value: str, reason: str):
    monkeypatch.setenv("MY_KEY", value)
    port, server = port_to(say(GOOD), key_variable="MY_KEY")
    assert reason in failure(port)
    assert not server.requests


def test_nothing_is_taken_from_variables_of_the_client_library(port_to, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://192.0.2.1/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {KEY}")
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    port, server = port_to(say(GOOD))
    ask(port)
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer none"
    assert KEY not in str(headers)
    assert "org-mine" not in str(headers)


def test_tests_cannot_reach_another_machine():
    profile = Profile(base_url="http://192.0.2.1/v1", model="x", timeout_s=5)
    port = ModelPort(profile, Limits(10**6, 1.0))
    assert failure(port).startswith("refused: ARCHWRIGHT_LOOPBACK_ONLY=1")
    assert port.limits.spent.tokens == 0
    assert not check_endpoint(profile).ok


def test_what_is_this_machine():
    for url in ("http://127.0.0.1:8/v1", "http://localhost/v1", "http://[::1]:8/v1"):
        assert is_loopback(url)
    for url in ("http://10.0.0.1/", "http://127.0.0.1.example/", "http://localhost.example/"):
        assert not is_loopback(url)


# Streams


def pieces(port: ModelPort) -> tuple[str, str]:
    """What came of a stream, and the fault that ended it."""
    text = ""
    try:
        for piece in Endpoint(port.profile).stream([{"role": "user", "content": "hi"}], {}):
            text += piece.text
    except EndpointFault as fault:
        return text, f"{fault.reason}{'' if fault.billed else ', free'}"
    return text, ""


def test_a_stream_that_ends_early_is_a_fault_after_its_last_piece(port_to, reply):
    port, server = port_to(say("one two three"))
    assert pieces(port) == ("one two three", "")
    server.script = say(reply("one two three", cut=True))
    assert pieces(port) == ("one two ", BROKEN_OFF)
    server.script = say(reply("one [DONE]\n data: [DONE] two", cut=True))
    assert pieces(port)[1] == BROKEN_OFF


def test_a_stream_that_says_done_is_whole_without_a_finish_reason(port_to, reply):
    port, _ = port_to(say(reply("one two", finish_reason="")))
    assert pieces(port) == ("one two", "")


def test_an_error_within_a_stream_is_told_without_the_key(port_to, reply, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    broken = f'data: {{"error": {{"message": "no memory for {KEY}"}}}}\n\n'.encode()
    port, _ = port_to(
        say(reply(raw=broken, headers={"content-type": "text/event-stream"})), key_variable="MY_KEY"
    )
    assert pieces(port) == ("", "the answer broke off: no memory for [key]")


def test_a_streamed_answer_can_be_had_whole(port_to, reply):
    calls = (("weigh", {"thing": "stone"}), ("weigh", {"thing": "feather"}))
    port, _ = port_to(say(reply("let me see", calls=calls, usage=(10, 5))))
    completion = Endpoint(port.profile).send([{"role": "user", "content": "x"}], {"stream": True})
    assert completion == Completion(
        "let me see",
        "",
        "tool_calls",
        10,
        5,
        (
            ToolCall("call-0", "weigh", '{"thing": "stone"}'),
            ToolCall("call-1", "weigh", '{"thing": "feather"}'),
        ),
    )


# Tool calls


def calls_in(*calls: dict[str, object]) -> tuple[ToolCall, ...]:
    message = {"content": None, "tool_calls": list(calls)}
    return read_completion(json.dumps({"choices": [{"message": message}]})).calls


def test_tool_calls_are_read_as_they_are():
    said = {"id": "call_9", "type": "function", "function": {"name": "front", "arguments": "{"}}
    assert calls_in(said) == (ToolCall("call_9", "front", "{"),)


def test_tool_calls_are_made_safe_to_send_back():
    same = {"id": "a", "function": {"name": "rm -rf /\n", "arguments": {"x": 1}}}
    odd = {"id": "\n" * 500, "function": {"name": "n" * 500, "arguments": None}}
    found = calls_in(same, same, {"function": {}}, odd, {"id": "call_1", "function": {}})
    names = ["rm_-rf___", "rm_-rf___", "unnamed", "n" * 64, "unnamed"]
    assert [call.name for call in found] == names
    assert found[0].arguments == '{"x": 1}'
    assert len({call.id for call in found}) == 5
    assert all(re.fullmatch(r"[\w.-]{1,64}", call.id) for call in found)


def test_tool_calls_are_bounded():
    call = {"id": "a", "function": {"name": "front", "arguments": "{}"}}
    assert len(calls_in(*[call] * 1000)) == MOST_CALLS
    call = {"id": "a", "function": {"name": "front", "arguments": "x" * 50_000}}
    with pytest.raises(EndpointFault, match="enormous answer"):
        calls_in(call)


@pytest.mark.parametrize("call", [{}, {"function": "front"}, {"function": {"name": 3}}, 7])
def test_what_is_no_tool_call_is_no_completion(call: object):
    with pytest.raises(EndpointFault, match="not a chat completion"):
        calls_in(call)
