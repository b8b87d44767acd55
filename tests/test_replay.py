"""A whole search that is recorded, and run again from the transcript with the model gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs
from commands import Run, one_line

from archwright.control import working_process
from archwright.events import RUN_FIELDS, TIME_FIELDS, comparable, read_events

KEY = "very-secret-0123456789"
ROLES = ("planner", "proposer", "critic", "evaluator")
MODELS = "\n[models]\n" + "".join(f'{role} = "m"\n' for role in ROLES)
FAULTY = 3
"""Every so many answers one is faulty."""


def _answer(role: str, number: int) -> dict[str, Any]:
    """A good answer, but never twice the same: a replay has to find the right one."""
    return {
        "planner": {
            "phase": ("explore", "refine", "widen")[number % 3],
            "designs": 2,
            "reason": f"small rounds learn more often, said in answer {number}",
        },
        "proposer": {
            "overrides": [
                {
                    "design": design,
                    "changes": [{"choice": "kernel_1", "position": position}],
                    "rationale": f"a wider first kernel, said in answer {number}",
                }
                for design in range(4)
                for position in (1, 0)
            ]
        },
        "critic": {"defer": [{"position": number % 3, "reason": "teaches the same"}]},
        "evaluator": {"order": [1, 0]},
    }[role]


@pytest.fixture
def unsteady(reply: Any) -> Callable[[dict[str, Any], int], Any]:
    """A model that answers, and every so often fails in one way or another."""
    faults = [
        reply(refusal="no"),
        reply("overloaded", status=503),
        "I would rather write a poem.",
        reply("slow down", status=429, headers={"retry-after": "0"}),
        reply(drop=True),
        reply(f"not with the key {KEY}", status=500),
    ]

    def script(request: dict[str, Any], number: int) -> Any:
        if number % FAULTY == FAULTY - 1:
            return faults[number // FAULTY % len(faults)]
        text: str = request["messages"][0]["content"]
        role = text.split("Role: ", 1)[1].split(".", 1)[0]
        return _answer(role, number)

    return script


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
    settings_file.write_text(chat_server.settings_toml("m", key_variable="TEST_MODEL_KEY"), "utf-8")
    return runs.write_brief(tmp_path, MODELS, runs.SHORT_BRIEF)


def events_in(folder: Path) -> list[dict[str, Any]]:
    return comparable(read_events(folder / "events.jsonl"))


def recalled_in(file: Path) -> list[Any]:
    """The designs, lessons and networks of past runs that a transcript holds."""
    rows = [json.loads(line) for line in file.read_text("ascii").splitlines()]
    content: list[Any] = next(row["content"] for row in rows if row["kind"] == "recalled")
    return content


def lasting(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the run's name, folder, date and seconds."""
    named = ("run", "folder", "created", "command")
    return {
        name: value
        for name, value in result.items()
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
    assert len(chat_server.requests) > 2 * FAULTY
    asked = len(chat_server.requests)
    settings_file.unlink()
    monkeypatch.delenv("TEST_MODEL_KEY")
    again = runs.search(world, "--run-dir", tmp_path / "again", "--no-random", "--replay", file)
    assert len(chat_server.requests) == asked, "a replay asks nobody"

    events = events_in(tmp_path / "first")
    assert events_in(tmp_path / "again") == events
    decisions = [event for event in events if event["kind"] == "decision"]
    assert {event["role"] for event in decisions} >= set(ROLES)
    assert any("instead" in event["decision"] for event in decisions), "no fault had a say"
    assert any("said in answer" in event["reason"] for event in decisions)
    assert any(recalled_in(file)), "nothing was recalled"
    assert runs.front_of(again) == runs.front_of(recorded)
    assert again["hypervolume"] == recorded["hypervolume"]
    assert again["model"] == recorded["model"]
    assert lasting(again) == lasting(recorded)

    assert KEY not in file.read_text("ascii")
    fields = {name for row in read_events(tmp_path / "first" / "events.jsonl") for name in row}
    assert {"time", "seconds_left", "run"} <= fields
    timely = {name for name in fields if "second" in name or "time" in name}
    assert timely <= TIME_FIELDS | RUN_FIELDS, "a time field that nobody lists"


@pytest.mark.slow
def test_a_detached_run_that_was_killed_is_recorded_to_its_end(
    world: Path,
    tmp_path: Path,
    settings_file: Path,
    chat_server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, folder = tmp_path / "transcript.jsonl", tmp_path / "run"
    monkeypatch.chdir(tmp_path)  # the detached process works in another folder
    status, _, err = runs.archwright(
        "search", world, "--detach", "--run-dir", folder, "--record", "transcript.jsonl"
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
    again = runs.search(world, "--run-dir", tmp_path / "again", "--no-random", "--replay", file)
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
    brief = runs.write_brief(tmp_path, MODELS if models else "")
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
