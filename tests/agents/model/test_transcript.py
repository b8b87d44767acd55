"""Transcripts: recorded against a real local HTTP server, answered from when it is gone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import GOOD, Pick, ask, failure, say

from archwright.agents.model.endpoint import Endpoint
from archwright.agents.model.limits import Limits
from archwright.agents.model.port import LONGEST_WAIT_S, ModelPort
from archwright.agents.model.recording import NOT_THERE
from archwright.agents.model.transcript import (
    RecordedAnswer,
    RecordedFault,
    read_transcript,
    request_hash,
)
from archwright.agents.model.transports import Transports
from archwright.agents.model.wire import Completion, EndpointFault, ToolCall
from archwright.errors import ModelFailure, UserError
from archwright.settings import Profile, Settings

KEY = "plain-0123456789-never-shown"
MESSAGE = {"role": "user", "content": "hello"}


@pytest.fixture(autouse=True)
def _hardly_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archwright.agents.model.port.FIRST_WAIT_S", 0.01)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "transcript.jsonl"


def settings_for(server: Any, **fields: Any) -> Settings:
    """Settings with one profile, ``m``: the scripted server."""
    fields = {"base_url": server.base_url, "model": "scripted", "timeout_s": 5.0, **fields}
    return Settings(models={"m": Profile(**fields)})


def port(transports: Transports) -> ModelPort:
    reached = transports.of("m")
    return ModelPort(reached.profile, Limits(10**6, 1.0), transport=reached)


def replaying(file: Path) -> ModelPort:
    """A port without settings, that answers from the transcript."""
    return port(Transports(Settings(), ["m"], replay=file))


def asked(port: ModelPort, contexts: list[str]) -> list[Any]:
    """What asking came to, in plain values without seconds; and what it cost."""
    came: list[Any] = []
    for context in contexts:
        try:
            answer = ask(port, context)
        except ModelFailure as fault:
            came.append(str(fault))
        else:
            came.append({**vars(answer), "seconds": None})
    return [*came, replace(port.limits.spent, seconds=0.0)]


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("ascii").splitlines()]


def test_a_replay_gives_the_same_answers_and_faults_without_the_server(
    file: Path, start_chat_server: Callable[..., Any], reply: Any
) -> None:
    wait = reply("slow down", status=429, headers={"retry-after": "0.05"})
    script = say(
        GOOD,
        {"bits": 4, "why": "asked twice"},  # to the same request as the first
        reply("overloaded", status=503), GOOD,
        wait, GOOD,
        reply(drop=True), GOOD,
        "I would rather write a poem.", GOOD,
        reply(refusal="no"),
        reply(GOOD, usage=None),
        reply(GOOD, finish_reason="length"),
        reply("no such model", status=404),
        GOOD,
        reply(GOOD, delay_s=1.5),
        GOOD,
    )  # fmt: skip
    contexts = ["same", "same", *"abcdefghijk"]
    server = start_chat_server(script)
    there = settings_for(server, timeout_s=0.5)
    recorded = asked(port(Transports(there, ["m"], record=file)), contexts)
    number = len(server.requests)
    assert any(isinstance(came, str) and "time-out" in came for came in recorded)
    assert recorded[0]["value"].bits == 8
    assert recorded[1]["value"].bits == 4

    server.script = say(reply("a replay asks nobody", status=500))
    assert asked(replaying(file), contexts) == recorded
    assert len(server.requests) == number


def test_what_is_not_there_fails_once_and_is_not_sent_again(file: Path, chat_server: Any) -> None:
    chat_server.script = say(GOOD)
    ask(port(Transports(settings_for(chat_server), ["m"], record=file)))
    again = replaying(file)
    ask(again)
    with pytest.raises(ModelFailure, match=NOT_THERE):
        ask(again)  # a second time was not recorded
    with pytest.raises(ModelFailure, match=NOT_THERE):
        ask(again, "something else")
    assert again.limits.spent.requests == 3, "a fault that is not sent again"


def test_the_file_says_what_was_asked_and_how_to_ask(file: Path, chat_server: Any) -> None:
    chat_server.script = say(GOOD)
    settings = settings_for(
        chat_server, dollars_per_million_tokens_in=0.5, dollars_per_million_tokens_out=1.0
    )
    ask(port(Transports(settings, ["m"], record=file)), "the data of today")
    header, exchange = rows(file)
    assert (header["kind"], header["format"]) == ("header", 1)
    assert header["models"]["m"]["profile"]["dollars_per_million_tokens_in"] == 0.5
    assert exchange["asked"]["messages"][0]["role"] == "system"
    assert "the data of today" in exchange["asked"]["messages"][1]["content"]
    assert json.loads(exchange["answer"]["content"]) == GOOD
    assert exchange["seconds"] >= 0
    assert replaying(file).profile == settings.profile("m")


def test_the_key_never_gets_into_the_file(
    file: Path, start_chat_server: Callable[..., Any], reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_MODEL_KEY", KEY)
    hidden = "".join(f"\\u{ord(character):04x}" for character in KEY)
    echoes = [
        {"bits": 8, "why": KEY},
        f'{{"bits": 8, "why": "{hidden}"}}',
        {"bits": 8, "why": f"Bearer {KEY}"},
        reply(refusal=f"not with {KEY}"),
        reply(GOOD, finish_reason=KEY),
        reply(f"the key {KEY} is wrong", status=401),
    ]
    server = start_chat_server(say(*echoes))
    settings = settings_for(server, key_variable="TEST_MODEL_KEY")
    contexts = [*"abcde", f"data with {KEY} in it"]
    recorded = asked(port(Transports(settings, ["m"], record=file)), contexts)
    assert any(KEY in str(request.headers) for request in server.requests)
    written = file.read_text("ascii")
    assert len(rows(file)) > len(contexts)
    for secret in (KEY, hidden, hidden.replace("\\", "\\\\"), "TEST_MODEL_KEY"):
        assert secret not in written
    monkeypatch.delenv("TEST_MODEL_KEY")
    assert asked(replaying(file), contexts) == recorded


def test_tool_calls_and_odd_text_come_back_as_they_were() -> None:
    calls = (ToolCall("call-0", "front", '{"most": 3}'), ToolCall("call-1", "simulate", "{"))
    completion = Completion("lone \ud800 and \u2028", "", "tool_calls", 5, None, calls)
    row = RecordedAnswer.of(completion, lambda text: text)
    written = json.dumps(row.model_dump(mode="json", exclude_none=True))
    assert RecordedAnswer.model_validate(json.loads(written)).completion() == completion


@pytest.mark.parametrize(("recorded", "replayed"), [(None, 0.0), (5.0, 0.0), (3600.0, 3600.0)])
def test_a_replay_waits_for_nobody(recorded: float | None, replayed: float) -> None:
    """Only a wait beyond what the port bears stays: it is why the port gave up."""
    assert LONGEST_WAIT_S < 3600
    row = RecordedFault(reason="HTTP 429", retry_after_s=recorded, retryable=True)
    assert row.fault(wait=False).retry_after_s == replayed
    assert row.fault().retry_after_s == recorded


def test_the_hash_is_that_of_the_request_alone() -> None:
    def hashed(options: Mapping[str, object], name: str = "m", content: str = "hello") -> str:
        return request_hash(name, "scripted", [{**MESSAGE, "content": content}], options)

    whole = hashed({"max_tokens": 5, "seed": 1})
    assert whole == hashed({"seed": 1, "max_tokens": 5})
    assert whole == hashed({"seed": 1, "max_tokens": 5, "timeout": 12.3}), "time is no part"
    others = [
        hashed({"seed": 2, "max_tokens": 5}),
        hashed({"seed": 1}),
        hashed({"max_tokens": 5, "seed": 1}, name="n"),
        hashed({"max_tokens": 5, "seed": 1}, content="lone \ud800"),
    ]
    assert len({whole, *others}) == 5


def test_several_threads_write_whole_lines_and_count_alike(file: Path, chat_server: Any) -> None:
    chat_server.script = lambda request, number: {"bits": 2 + number % 15}
    sent = Transports(settings_for(chat_server), ["m"], record=file).of("m")

    def send_often() -> None:
        for _ in range(10):
            sent.send([MESSAGE], {})

    threads = [threading.Thread(target=send_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    header, *exchanges = rows(file)
    assert header["kind"] == "header"
    assert sorted(row["occurrence"] for row in exchanges) == list(range(60))
    again = Transports(Settings(), ["m"], replay=file).of("m")
    in_order = sorted(exchanges, key=lambda row: row["occurrence"])
    said = [again.send([MESSAGE], {}).content for _ in range(60)]
    assert said == [row["answer"]["content"] for row in in_order]


# Parts: a run that is killed and resumed


def test_a_resumed_run_goes_on_and_what_it_asks_again_counts(file: Path, chat_server: Any) -> None:
    settings = settings_for(chat_server)
    chat_server.script = say({"bits": 4}, {"bits": 5}, {"bits": 6})
    first = port(Transports(settings, ["m"], record=file))
    assert [ask(first, c).value.bits for c in ("kept", "lost", "lost")] == [4, 5, 6]
    with file.open("ab") as cut:
        cut.write(b'{"kind": "request", "requ')  # by a kill
    chat_server.script = say({"bits": 7})
    resumed = port(Transports(settings, ["m"], record=file, goes_on=True))
    assert ask(resumed, "lost").value.bits == 7
    assert ask(resumed, "new").value.bits == 7

    again = replaying(file)
    assert [ask(again, c).value.bits for c in ("kept", "lost", "new")] == [4, 7, 7]
    with pytest.raises(ModelFailure, match=NOT_THERE):
        ask(again, "lost")


def test_a_resumed_run_that_asks_nothing_writes_nothing(file: Path, chat_server: Any) -> None:
    settings = settings_for(chat_server)
    ask(port(Transports(settings, ["m"], record=file)), answer=_Anything)
    before = file.read_bytes()
    Transports(settings, ["m"], record=file, goes_on=True).of("m")
    assert file.read_bytes() == before


class _Anything(Pick):
    """An answer that ``{}`` is."""

    bits: int = 8


# What goes into a transcript beside the requests


def test_what_a_run_recalled_is_recorded_once_and_replayed(file: Path, chat_server: Any) -> None:
    settings = settings_for(chat_server)
    transports = Transports(settings, ["m"], record=file)
    recollection: list[Any] = [[{"key": "d1", "value": None}], ["a lesson"], []]
    assert transports.recalled(lambda: (recollection, ("gone",))) == (recollection, ("gone",))

    def changed() -> tuple[list[Any], tuple[str, ...]]:
        raise AssertionError("a replay looks at no other run")

    again = Transports(Settings(), ["m"], replay=file)
    assert again.recalled(changed) == (recollection, ("gone",))
    plain = Transports(settings, ["m"])
    assert plain.recalled(lambda: ([[], [], []], ())) == ([[], [], []], ())


def test_abilities_are_those_of_the_beginning_or_found_later(file: Path, chat_server: Any) -> None:
    settings = settings_for(chat_server)
    known = {"json_schema": True, "seed": None}
    transports = Transports(settings, ["m"], record=file, known=lambda profile: known)
    assert transports.abilities("m") == known
    transports.recalled(lambda: ([], ()))
    assert Transports(Settings(), ["m"], replay=file).abilities("m") == known
    transports.found("m", {"json_schema": False})
    assert Transports(Settings(), ["m"], replay=file).abilities("m") == {"json_schema": False}
    assert Transports(settings, ["m"]).abilities("m") is None


def test_no_transcript_means_the_endpoint_itself(chat_server: Any) -> None:
    transports = Transports(settings_for(chat_server), ["m"])
    assert isinstance(transports.of("m"), Endpoint)
    assert transports.of("m") is transports.of("m")


# Mistakes and damage: one line each


def header(**changes: Any) -> dict[str, Any]:
    profile = {"base_url": "http://127.0.0.1:1/v1", "model": "x"}
    models = {"m": {"profile": profile}}
    fields = {"kind": "header", "format": 1, "archwright": "0.1", "date": "2026-11-22"}
    return {**fields, "models": models, **changes}


def exchange(**changes: Any) -> dict[str, Any]:
    fields = {"kind": "request", "request": "0" * 64, "occurrence": 0, "model": "m", "seconds": 1}
    return {**fields, "answer": {"content": "{}"}, **changes}


def refusal(file: Path, *lines: object, ending: bytes = b"\n") -> str:
    """The one line with which a transcript of these lines is refused."""
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    file.write_bytes(b"\n".join(texts) + ending)
    with pytest.raises(UserError) as caught:
        read_transcript(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("lines", "number", "what"),
    [
        ([b""], 1, "not JSON"),
        ([b"\xff\xfe"], 1, "not JSON"),
        ([exchange()], 1, "no header"),
        ([header(format=2)], 1, "format"),
        ([header(models={})], 1, "no header"),
        ([header(models={"m": {"profile": {"model": "x"}}})], 1, "base_url"),
        ([header(), b"{"], 2, "not JSON"),
        ([header(), b"[" * 100_000], 2, "not JSON"),
        ([header(), {"kind": "poem"}], 2, "poem"),
        ([header(), [1]], 2, ""),
        ([header(), exchange(), exchange(occurrence=-1)], 3, "occurrence"),
        ([header(), exchange(request="short")], 2, "request"),
        ([header(), exchange(fault={"reason": "x"})], 2, "not both"),
        ([header(), exchange(answer=None)], 2, "needs an answer or a fault"),
        ([header(), exchange(seconds=float("nan"))], 2, "seconds"),
        ([header(), {"kind": "abilities", "model": "n", "abilities": {}}], 2, "'n'"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(
    file: Path, lines: list[object], number: int, what: str
) -> None:
    said = refusal(file, *lines)
    assert f"line {number}: " in said
    assert what in said
    assert "allowed" in said


def test_a_last_line_that_was_cut_is_left_out(file: Path) -> None:
    whole = [json.dumps(row) for row in (header(), exchange(), exchange(occurrence=1))]
    for end in (b"", b"\n", b"\n{", b'\n{"kind": "re'):
        file.write_bytes("\n".join(whole).encode() + end)
        kept = 2 if end else 1
        assert len(read_transcript(file).exchanges["0" * 64]) == kept
    assert "no header" in refusal(file, b'{"kind": "header"', ending=b"")


def test_sizes_are_bounded(
    file: Path, chat_server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chat_server.script = say(GOOD)
    module = "archwright.agents.model.transcript"
    recording = port(Transports(settings_for(chat_server), ["m"], record=file))
    ask(recording, "first")
    monkeypatch.setattr(f"{module}.LARGEST_TRANSCRIPT_BYTES", file.stat().st_size + 100)
    assert ask(recording, "second").value.bits == 8, "a run does not die of it"
    assert "the transcript ends here" in caplog.text
    ask(replaying(file), "first")
    monkeypatch.setattr(f"{module}.LARGEST_TRANSCRIPT_BYTES", 100)
    with pytest.raises(UserError, match="allowed a transcript of 100 bytes"):
        read_transcript(file)
    monkeypatch.setattr(f"{module}.LARGEST_TRANSCRIPT_BYTES", 10**6)
    monkeypatch.setattr(f"{module}.LARGEST_LINE_BYTES", 50)
    with pytest.raises(UserError, match="line 1: over 50 bytes"):
        read_transcript(file)


def test_a_disk_that_takes_no_more_ends_the_transcript_alone(
    tmp_path: Path, chat_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chat_server.script = say(GOOD)
    folder = tmp_path / "there"
    folder.mkdir()
    recording = port(Transports(settings_for(chat_server), ["m"], record=folder / "file"))
    folder.rmdir()
    assert ask(recording).value.bits == 8
    assert "the transcript ends here" in caplog.text


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["m"], {"record": "new", "replay": "new"}, "--record and --replay exclude each other"),
        ([], {"record": "new"}, "--record new: no models"),
        ([], {"replay": "there"}, "--replay there: no models"),
        (["n"], {"replay": "there"}, "models = 'n': not in it; allowed m"),
        (["m"], {"replay": "new"}, "no such transcript"),
        (["m"], {"replay": "."}, "no such transcript"),
        (["m"], {"record": "there"}, "is there already"),
        (["m"], {"record": "nowhere/new"}, "no such folder"),
        (["n"], {"record": "new"}, "'n'"),
        (["n"], {}, "'n'"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    tmp_path: Path,
    chat_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
    options: dict[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text(json.dumps(header()) + "\n")
    paths = {option: Path(path) for option, path in options.items()}
    with pytest.raises(UserError) as caught:
        Transports(settings_for(chat_server), names, **paths)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("new").exists()


def test_a_file_cannot_name_a_variable_of_this_machine(file: Path) -> None:
    profile = {"base_url": "http://127.0.0.1:1/v1", "model": "x", "key_variable": "HOME"}
    file.write_text(json.dumps(header(models={"m": {"profile": profile}})) + "\n")
    assert replaying(file).profile.key_variable is None


def test_a_stand_in_for_an_endpoint_raises_nothing_else(file: Path) -> None:
    file.write_text(json.dumps(header()) + "\n")
    with pytest.raises(EndpointFault) as caught:
        Transports(Settings(), ["m"], replay=file).of("m").send([MESSAGE], {})
    assert not caught.value.retryable
    assert not caught.value.billed
    assert "key" not in failure(replaying(file))
