"""What an endpoint can do: found out by a few requests, kept, and used from the first ask on."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asking import GOOD, Pick, ask, failure, say

from archwright.agents.model.abilities import (
    LARGEST_FILE_BYTES,
    Abilities,
    keep_abilities,
    kept_abilities,
)
from archwright.agents.model.endpoint import Endpoint
from archwright.agents.model.limits import Limits
from archwright.agents.model.probing import check_endpoint, probe
from archwright.agents.model.wire import EndpointFault
from archwright.home import abilities_folder
from archwright.settings import Profile

FULL = Abilities(*[True] * 10, limit_field="max_tokens")
NOTHING = Abilities()
PROFILE = Profile(base_url="http://127.0.0.1:1/v1", model="x")


def probed(port: Any) -> Abilities:
    return probe(Endpoint(port.profile).send, 2048)


# Finding out


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("full", FULL),
        ("plain", NOTHING),
        # What is taken and ignored is no ability; of a wish nothing more can be seen.
        ("plain, takes all", Abilities(usage=True, seed=True, temperature=True)),
        ("schema-less", replace(FULL, json_schema=False, schema_bounds=False)),
        ("loose", replace(FULL, schema_bounds=False)),
        ("tools on their own will", replace(FULL, forced_tools=False, parallel_tools=False)),
        ("no usage", replace(FULL, usage=False)),
        ("reasoning", replace(FULL, temperature=False, limit_field="max_completion_tokens")),
    ],
)
def test_a_probe_finds_what_an_endpoint_can_do(port_to, kind: str, expected: Abilities):
    port, server = port_to(say(GOOD), kind=kind)
    assert probed(port) == expected
    assert server.requests == []
    assert 6 <= len(server.probes) <= 11


def test_an_endpoint_that_does_not_answer_cannot_be_judged(port_to, reply):
    port, server = port_to(say(reply("out of memory", status=500)), kind="scripted")
    with pytest.raises(EndpointFault, match="HTTP 500"):
        probed(port)
    assert len(server.probes) == 1


def test_an_endpoint_that_thinks_too_long_cannot_be_judged(port_to, reply):
    thinking = reply("<think>France, hm", finish_reason="length")
    port, server = port_to(say(thinking, thinking, GOOD), kind="scripted", learn=pytest.fail)
    with pytest.raises(EndpointFault, match="cut at 1024 tokens"):
        probed(port)
    assert len(server.probes) == 1
    assert ask(port).value == Pick(**GOOD)  # and is asked all the same


def test_an_endpoint_that_fails_midway_cannot_be_judged(port_to):
    port, _ = port_to(say(GOOD))
    endpoint, sent = Endpoint(port.profile), 0

    def failing(messages: Any, options: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == 4:
            raise EndpointFault("HTTP 429: slow down", status=429, retryable=True)
        return endpoint.send(messages, options)

    with pytest.raises(EndpointFault, match="429"):
        probe(failing, 2048)


def test_one_accident_is_no_inability(port_to):
    port, _ = port_to(say(GOOD))
    endpoint, sent = Endpoint(port.profile), 0

    def failing(messages: Any, options: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent % 2 == 0:
            raise EndpointFault("HTTP 500: oh", status=500, retryable=True)
        return endpoint.send(messages, options)

    assert probe(failing, 2048) == FULL


# Keeping


def test_what_was_found_is_kept_for_each_address_and_model():
    keep_abilities(PROFILE, FULL)
    assert kept_abilities(PROFILE) == FULL
    assert kept_abilities(PROFILE.model_copy(update={"timeout_s": 9.0})) == FULL
    for other in ({"model": "y"}, {"base_url": "http://127.0.0.1:2/v1"}):
        assert kept_abilities(PROFILE.model_copy(update=other)) is None
    assert [path.suffix for path in abilities_folder().iterdir()] == [".json"]


def kept_file() -> Path:
    keep_abilities(PROFILE, FULL)
    (path,) = abilities_folder().iterdir()
    return path


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", "\xff", "{}", "[" * 5000, " " * LARGEST_FILE_BYTES + "{}"],
)
def test_a_damaged_file_is_as_none(text: str):
    kept_file().write_text(text, encoding="latin-1")
    assert kept_abilities(PROFILE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"date": "2020-01-01"},
        {"date": (datetime.now(UTC).date() + timedelta(days=3)).isoformat()},
        {"date": "yesterday"},
        {"date": 7},
        {"model": "another"},
        {"abilities": {"tools": True}},
        {"abilities": None},
    ],
)
def test_an_outdated_or_foreign_file_is_as_none(change: dict[str, object]):
    path = kept_file()
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert kept_abilities(PROFILE) is None


def test_a_home_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHWRIGHT_HOME", str(tmp_path / "file" / "home"))
    keep_abilities(PROFILE, FULL)
    assert kept_abilities(PROFILE) is None


@pytest.mark.parametrize("abilities", [FULL, NOTHING, replace(FULL, tools=False)])
def test_abilities_go_through_json(abilities: Abilities):
    assert Abilities.from_plain(json.loads(json.dumps(abilities.to_plain()))) == abilities


@pytest.mark.parametrize(
    "change", [{"tools": 1}, {"limit_field": "stop"}, {"limit_field": []}, {"more": True}]
)
def test_what_is_no_abilities_is_said(change: dict[str, object]):
    with pytest.raises(ValueError, match="abilities: "):
        Abilities.from_plain(FULL.to_plain() | change)
    for plain in (None, [], {"tools": True}):
        with pytest.raises(ValueError, match="allowed an object of json_schema"):
            Abilities.from_plain(plain)


# Using


def form(request: Any) -> str:
    return str(request.json.get("response_format", {}).get("type", "text"))


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        (FULL, "json_schema"),
        (replace(FULL, json_schema=False), "json_object"),
        (NOTHING, "text"),
    ],
)
def test_a_port_begins_at_the_form_that_is_known_to_work(port_to, abilities, expected: str):
    port, server = port_to(say(GOOD), abilities=abilities)
    assert ask(port).attempts == 1
    assert form(server.requests[0]) == expected


def test_a_schema_has_no_bounds_where_they_are_known_not_to_be_taken(port_to):
    port, server = port_to(say(GOOD), abilities=replace(FULL, schema_bounds=False), kind="loose")
    assert ask(port).attempts == 1
    assert "maximum" not in json.dumps(server.requests[0].json["response_format"])
    assert '"maximum":16' in server.requests[0].json["messages"][0]["content"]


def test_known_abilities_that_are_true_no_longer_are_found_out_anew(port_to):
    port, server = port_to(say(GOOD), abilities=FULL, kind="plain")
    assert ask(port).value == Pick(**GOOD)
    assert [form(r) for r in server.requests] == [
        "json_schema",
        "json_schema",
        "json_object",
        "text",
    ]


def test_an_accident_does_not_lower_the_form_of_an_endpoint_that_is_known(port_to, reply):
    port, server = port_to(say(reply("oh", status=500), GOOD), abilities=FULL)
    assert ask(port).attempts == 2
    assert [form(request) for request in server.requests] == ["json_schema"] * 2


def test_the_first_ask_probes_once_and_pays_for_it(port_to):
    learnt: list[Abilities] = []
    port, server = port_to(say(GOOD), kind="schema-less", learn=learnt.append)
    first = ask(port)
    assert learnt == [port.abilities]
    assert form(server.requests[0]) == "json_object"
    assert first.attempts == len(server.probes) + 1
    assert port.limits.spent.requests == first.attempts
    assert port.limits.spent.tokens == first.tokens_in + first.tokens_out
    assert ask(port).attempts == 1


def test_known_abilities_are_not_probed(port_to):
    learnt: list[Abilities] = []
    port, server = port_to(say(GOOD), abilities=FULL, learn=learnt.append)
    ask(port)
    assert (learnt, server.probes) == ([], [])


def test_where_a_probe_fails_it_goes_on_without_and_does_not_try_again(port_to, reply):
    learnt: list[Abilities] = []
    port, server = port_to(
        say(reply("oh", status=404), reply("oh", status=404), GOOD),
        kind="scripted",
        learn=learnt.append,
    )
    assert failure(port) == "HTTP 404: oh"
    assert ask(port).value == Pick(**GOOD)
    assert (learnt, port.abilities, len(server.probes)) == ([], None, 1)


def test_a_probe_cannot_overspend(port_to):
    learnt: list[Abilities] = []
    port, server = port_to(say(GOOD), Limits(600, 1.0), learn=learnt.append, max_output_tokens=400)
    assert failure(port).startswith("budget spent: tokens")
    assert server.probes
    assert learnt == []
    assert port.limits.spent.tokens <= 600


# Checking, for doctor


def test_check_endpoint_says_what_it_can_do_and_keeps_it(port_to):
    port, server = port_to(say(GOOD), kind="tools on their own will")
    check = check_endpoint(port.profile)
    assert check.ok
    assert check.detail.startswith("scripted answered in ")
    assert "cannot: forced tools, parallel tools; limit: max_tokens" in check.detail
    assert check.seconds > 0
    assert kept_abilities(port.profile) == check.abilities
    server.kind = type(server.kind)(tools="refused")
    assert "cannot: tools" in check_endpoint(port.profile).detail
    assert kept_abilities(port.profile) == replace(
        FULL, tools=False, forced_tools=False, parallel_tools=False
    )


def test_check_endpoint_says_why_it_does_not_answer(port_to, reply):
    port, _ = port_to(say(reply("out of memory", status=500)), kind="scripted")
    check = check_endpoint(port.profile)
    assert (check.ok, check.detail) == (False, "HTTP 500: out of memory")
    assert kept_abilities(port.profile) is None


def test_every_ability_is_told_in_words():
    for field in fields(Abilities):
        if field.name != "limit_field":
            can, _, cannot = replace(NOTHING, **{field.name: True}).in_words().partition("; cannot")
            assert can not in ("can: plain chat only", cannot)
    assert NOTHING.in_words().startswith("can: plain chat only; cannot: strict schema, ")
