"""Faults of the connection and the server, and the keys: against a real local HTTP server."""

import logging
import socket
import time

import pytest
from asking import GOOD, ask, failure, say

from archwright.agents.model.endpoint import is_loopback
from archwright.agents.model.limits import Limits
from archwright.agents.model.port import ModelPort, check_endpoint
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
    assert len(server.requests) == 4  # three formats, then one retry


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
    for header in ("nan", "-5", "soon"):
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


# Checking an endpoint


def test_check_endpoint(port_to, reply):
    port, server = port_to(say("OK"))
    check = check_endpoint(port.profile)
    assert check.ok
    assert check.detail.startswith("scripted answered in")
    assert check.seconds > 0
    assert server.requests[0].json["max_tokens"] == 16
    server.script = say(reply("no such model", status=404))
    assert check_endpoint(port.profile).detail == "HTTP 404: no such model"
