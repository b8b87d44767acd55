"""A whole search that is recorded, and run again from the transcript with the model gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import runs
import scripted
from commands import Run, one_line
from tool_calls import results

from archwright.control import working_process
from archwright.events import RUN_FIELDS, TIME_FIELDS, comparable, read_events

KEY = "very-secret-0123456789"
FALSE = "Its accuracy is 0.999."
FAULTY = 0.3
EVALUATIONS = 14


@pytest.fixture
def unsteady(reply: Any, with_faults: Any) -> Any:
    """A model that calls tools, states what nothing measured, and fails in every way.

    It never says the same twice: a replay has to find the right answer.
    """

    def script(request: dict[str, Any], number: int) -> Any:
        if number == 2:
            return reply(f"not with the key {KEY}", status=500)
        if request.get("tools") and not results(request):
            return reply(calls=(("front", {}), ("suggest", {"designs": 1}), ("resume", {})))
        answer = scripted.fitting(request, number, f"{FALSE} So it is said in answer {number}.")
        if scripted.asked_for(request) == "critic":
            doubt = {"action": "defer", "reason": "teaches the same"}
            return {"doubts": [{"position": number % 3, **doubt}]}
        return answer

    return with_faults(script, FAULTY, seed=1, delay_s=1.5)


@pytest.fixture
def world(
    tiny_run: Any,
    home: Path,
    settings_file: Path,
    tmp_path: Path,
    chat_server: Any,
    unsteady: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A home with a past run and its supernet, the settings of the model, the brief."""
    shutil.copytree(tiny_run.home, home, dirs_exist_ok=True)
    chat_server.script = unsteady
    monkeypatch.setenv("TEST_MODEL_KEY", KEY)
    profile = chat_server.settings_toml("m", key_variable="TEST_MODEL_KEY", timeout_s=1.0)
    settings_file.write_text(profile, "utf-8")
    return runs.write_brief(tmp_path, scripted.MODELS)


def check_nothing_is_lost(folder: Path, result: dict[str, Any], server: Any) -> None:
    """A run whose model failed again and again has spent its budget, and counts every ask."""
    assert result["evaluations"] == EVALUATIONS
    assert result["stopped"] == f"the budget of {EVALUATIONS} evaluations is spent"
    assert result["front"]
    with runs.open_archive(folder) as archive:
        assert archive.recorded_evaluations(runs.run_of(folder)) == EVALUATIONS
    events = read_events(folder / "events.jsonl")
    assert len([event for event in events if event["kind"] == "evaluated"]) == EVALUATIONS
    asks = [event for event in events if event["kind"] == "model"]
    failed = [event for event in asks if event["outcome"] != "answered"]
    assert len(server.script.dealt) > 3, "faults of several kinds"
    assert 0 < len(failed) < len(asks)
    assert result["model"]["failures"] == len(failed)
    sent = sum(event["requests"] for event in asks)
    assert sent == len(server.requests) + len(server.probes) == result["model"]["requests"]
    tokens = sum(event["tokens_in"] + event["tokens_out"] for event in asks)
    assert tokens == result["model"]["tokens"]


def events_in(folder: Path) -> list[dict[str, Any]]:
    return comparable(read_events(folder / "events.jsonl"))


def recalled_in(file: Path) -> list[Any]:
    """The designs, lessons and networks of past runs that a transcript holds."""
    rows = [json.loads(line) for line in file.read_text("ascii").splitlines()]
    content: list[Any] = next(row["content"] for row in rows if row["kind"] == "recalled")
    return content


def kept_in(folder: Path) -> dict[str, Any]:
    """What an archive keeps of the models: their advice, their words, the explanation."""
    run = runs.run_of(folder)
    with runs.open_archive(folder) as archive:
        names = ["explanation", *(f"advice/{step}/{k}" for step in range(20) for k in (0, 1, 2))]
        names += [f"word/{role}/{step}" for role in scripted.ROLES for step in range(20)]
        kept = {name: archive.meta(run, name) for name in names}
    return {name: value for name, value in kept.items() if value is not None}


def lasting(value: Any) -> Any:
    """A result without the run's name, folder, date and, in all of its tables, seconds."""
    if isinstance(value, list):
        return [lasting(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = ("run", "folder", "created", "command")
    return {
        name: lasting(inside)
        for name, inside in value.items()
        if name not in named and not name.startswith("seconds")
    }


@pytest.mark.slow
def test_a_replay_is_the_same_run_without_its_model(
    world: Path,
    tmp_path: Path,
    settings_file: Path,
    chat_server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "transcript.jsonl"
    recorded = runs.search(world, "--run-dir", tmp_path / "first", "--no-random", "--record", file)
    check_nothing_is_lost(tmp_path / "first", recorded, chat_server)
    asked = len(chat_server.requests) + len(chat_server.probes)
    settings_file.unlink()
    monkeypatch.delenv("TEST_MODEL_KEY")
    again = runs.search(world, "--run-dir", tmp_path / "again", "--no-random", "--replay", file)
    assert len(chat_server.requests) + len(chat_server.probes) == asked, "it asks nobody"

    events = events_in(tmp_path / "first")
    assert events_in(tmp_path / "again") == events
    decisions = [event for event in events if event["kind"] == "decision"]
    assert {event["role"] for event in decisions} >= set(scripted.ROLES)
    assert {event["kind"] for event in events} >= {"model", "tool", "flagged"}
    assert any(event["origin"].startswith("model/") for event in events if "origin" in event)
    assert [kept_in(tmp_path / name) for name in ("again", "first")] == 2 * [
        kept_in(tmp_path / "first")
    ]
    analysed = kept_in(tmp_path / "first")["explanation"]
    assert analysed["mind"] == "model/scripted"
    assert any("instead" in event["decision"] for event in decisions), "no fault had a say"
    assert any("said in answer" in event["reason"] for event in decisions)
    assert any(recalled_in(file)), "nothing was recalled"
    assert runs.front_of(again) == runs.front_of(recorded)
    assert again["hypervolume"] == recorded["hypervolume"]
    assert lasting(again["model"]) == lasting(recorded["model"])
    assert lasting(again) == lasting(recorded)

    assert KEY not in file.read_text("ascii")
    fields = {name for row in read_events(tmp_path / "first" / "events.jsonl") for name in row}
    assert {"time", "seconds_left", "run"} <= fields
    timely = {name for name in fields if "second" in name or "time" in name}
    assert timely <= TIME_FIELDS | RUN_FIELDS, "a time field that nobody lists"


@pytest.mark.slow
@pytest.mark.usefixtures("world")
def test_a_detached_run_that_was_killed_is_recorded_to_its_end(
    tmp_path: Path,
    settings_file: Path,
    chat_server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, folder = tmp_path / "transcript.jsonl", tmp_path / "run"
    brief = runs.write_brief(tmp_path, scripted.MODELS, runs.SHORT_BRIEF)

    def steady(request: dict[str, Any], number: int) -> Any:
        """No faults: what a port has learnt from them does not outlive its process."""
        return scripted.fitting(request, number, f"so it is said in answer {number}")

    chat_server.script = steady
    monkeypatch.chdir(tmp_path)  # the detached process works in another folder
    status, _, err = runs.archwright(
        "search", brief, "--detach", "--run-dir", folder, "--record", "transcript.jsonl"
    )
    assert status == 0, err
    runs.wait_until(lambda: len(chat_server.requests) >= 6)
    pid = working_process(folder)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    runs.wait_until(lambda: working_process(folder) is None)
    status, out, err = runs.archwright("resume", runs.run_of(folder), "--json")
    assert status == 0, err
    resumed = json.loads(out.splitlines()[-1])
    headers = [line for line in file.read_bytes().splitlines() if b'"kind": "header"' in line]
    assert len(headers) == 2
    settings_file.unlink()
    again = runs.search(brief, "--run-dir", tmp_path / "again", "--no-random", "--replay", file)
    assert runs.front_of(again) == runs.front_of(resumed)


@pytest.mark.parametrize("detach", [(), ("--detach",)])
@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        (True, ("--record", "a", "--replay", "b"), "--record and --replay exclude each other"),
        (True, ("--replay", "missing"), "no such transcript"),
        (True, ("--record", "there"), "--record there: is there already"),
        (True, ("--replay", "there"), "line 1: it is not JSON"),
        (False, ("--replay", "there"), "--replay there: no models"),
        (False, ("--record", "new"), "--record new: no models"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(
    archwright_: Run,
    tmp_path: Path,
    settings_file: Path,
    chat_server: Any,
    detach: tuple[str, ...],
    models: bool,
    options: tuple[str, ...],
    message: str,
) -> None:
    settings_file.write_text(chat_server.settings_toml("m"), encoding="utf-8")
    Path("there").write_text("no transcript\n", encoding="utf-8")
    brief = runs.write_brief(tmp_path, scripted.MODELS if models else "")
    status, _, err = archwright_("search", brief, "--run-dir", "run", *options, *detach)
    assert status == 2
    assert message in one_line(err)
    assert [path.name for path in Path().iterdir()] == ["there"]


def test_events_are_compared_without_times_and_the_name_of_the_run() -> None:
    first = {"kind": "part", "step": -1, "label": "begin", "run": "tiny-1", "time": 1.5}
    other = {**first, "run": "tiny-2", "time": 2.5}
    asked = {"kind": "model", "step": 0, "label": "critic", "seconds": 0.2, "tokens": 5}
    assert comparable([first, asked]) == comparable([other, {**asked, "seconds": 9.9}])
    assert comparable([asked]) != comparable([{**asked, "tokens": 6}])
