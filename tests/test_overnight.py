"""Detached runs: started, watched, stopped and resumed by processes that do not know each other."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
import runs

from archwright.events import read_events

pytestmark = pytest.mark.slow

LONG_BRIEF = runs.TINY_BRIEF.replace("evaluations = 14", "evaluations = 4000")


@pytest.fixture
def trained(tiny_run: Any) -> tuple[Path, dict[str, Any]]:
    """A home with the tiny brief's supernet, and its uninterrupted result."""
    return tiny_run.home, tiny_run.result


@pytest.fixture(autouse=True)
def _supernets(trained: tuple[Path, dict[str, Any]], home: Path) -> None:
    runs.share_supernets(trained[0], home)


def state_of(run: str) -> dict[str, Any]:
    status, out, err = runs.archwright("status", run, "--json")
    assert status == 0, err
    state: dict[str, Any] = json.loads(out.splitlines()[-1])
    return state


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + runs.PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "the point was never reached"
        time.sleep(0.1)


def evaluated(folder: Path) -> int:
    return runs.count(folder, "select count(*) from uses where role = 'search'")


def test_a_detached_run_survives_its_terminal_and_is_stopped_from_elsewhere(
    tmp_path: Path, home: Path
) -> None:
    brief = runs.write_brief(tmp_path, text=LONG_BRIEF)
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "archwright", "search", str(brief), "--detach", "--json"],
        env=dict(os.environ),
        timeout=runs.PATIENCE_S,
        encoding="utf-8",
    )
    terminal.expect(r'\{"run": "([^"]+)", "folder": "([^"]+)"\}')
    run, folder = terminal.match.group(1), Path(terminal.match.group(2))
    terminal.sendeof()
    terminal.close(force=True)  # the terminal is gone, and what hung on it has had its SIGHUP

    wait_for(lambda: evaluated(folder) >= 5)
    state = state_of(run)
    assert state["status"] == "running"
    assert state["budget"] == 4000
    assert state["part"]

    status, out, err = runs.archwright("stop", run, "--json")
    assert status == 0, err
    stopped = json.loads(out.splitlines()[-1])
    if stopped["status"] == "running":  # on a busy machine it ends after the command's patience
        wait_for(lambda: state_of(run)["status"] == "stopped")
        stopped = state_of(run)
    assert stopped["status"] == "stopped"
    assert "stopped by the user" in stopped["stopped"]
    assert stopped["evaluations"] >= 5
    assert (folder / "report.html").is_file()
    assert (folder / "best" / "network.onnx").is_file()

    status, out, _ = runs.archwright("logs", run)
    assert status == 0
    assert "evaluated step" in out
    assert "stopped by the user" in out


def test_a_stopped_run_goes_on_to_the_same_front(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = runs.start("search", runs.write_brief(tmp_path), "--run-dir", folder, "--no-random")
    wait_for(lambda: evaluated(folder) >= 6)
    process.send_signal(signal.SIGTERM)
    status, _, err = runs.finish(process)
    assert status == 0, err
    assert (folder / "report.html").is_file()
    assert evaluated(folder) < 14
    status, out, err = runs.archwright("resume", runs.run_of(folder), "--json")
    assert status == 0, err
    assert runs.front_of(json.loads(out.splitlines()[-1])) == runs.front_of(trained[1])


def test_hours_end_a_run_within_one_evaluation(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    brief = runs.write_brief(tmp_path, text=LONG_BRIEF)
    result = runs.search(brief, "--run-dir", folder, "--hours", "0.003", "--no-random")
    assert result["stopped"] == "the budget of 0.003 hours is spent"
    assert (folder / "report.html").is_file()
    events = read_events(folder / "events.jsonl")
    deadline = next(e["time"] for e in events if e["kind"] == "part") + 0.003 * 3600
    late = [e for e in events if e["kind"] == "evaluated" and e["time"] > deadline]
    assert len(late) <= 2, "one evaluation in flight on each of two workers"


def test_a_killed_run_is_seen_as_interrupted_and_can_be_resumed(tmp_path: Path) -> None:
    brief = runs.write_brief(tmp_path, text=runs.SHORT_BRIEF)
    status, out, err = runs.archwright("search", brief, "--detach", "--json")
    assert status == 0, err
    started = json.loads(out.splitlines()[-1])
    folder = Path(started["folder"])
    wait_for(lambda: evaluated(folder) >= 4)
    os.kill(json.loads((folder / ".process").read_text())["pid"], signal.SIGKILL)
    wait_for(lambda: state_of(started["run"])["status"] == "interrupted")
    status, out, err = runs.archwright("resume", started["run"], "--json")
    assert status == 0, err
    assert json.loads(out.splitlines()[-1])["evaluations"] == 7
    assert state_of(started["run"])["status"] == "finished"


def test_stopping_while_the_supernet_trains_keeps_what_is_trained(
    home: Path, tmp_path: Path
) -> None:
    text = runs.TINY_BRIEF.replace("epochs = 3", "epochs = 60")
    process = runs.start(
        "search", runs.write_brief(tmp_path, text=text), "--run-dir", tmp_path / "r"
    )
    wait_for(lambda: any((home / "supernets").glob("*/training.pt")))
    process.send_signal(signal.SIGTERM)
    status, _, err = runs.finish(process)
    assert status == 1
    assert "stopped while its supernet was training; resume goes on" in err
    assert any((home / "supernets").glob("*/training.pt"))


def test_the_walk_of_the_page_can_be_walked(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "overnight.md").read_text(encoding="utf-8")
    brief, run = runs.write_brief(tmp_path), "RUN"
    walked = 0
    for block in re.findall(r"```console\n(.*?)```", page, flags=re.DOTALL):
        for step in re.split(r"^\$ archwright ", block, flags=re.MULTILINE)[1:]:
            command, *expected = step.strip().splitlines()
            words = command.replace("examples/digits.toml", str(brief)).replace("RUN", run).split()
            status, out, err = runs.archwright(*words)
            assert status == 0, (command, err)
            if "--detach" in words:
                run = out.splitlines()[0]
                folder = Path(state_of(run)["folder"])
                wait_for(lambda folder=folder: evaluated(folder) >= 4)  # type: ignore[misc]
            for line in expected:
                assert line.replace("RUN", run) in out, (command, line)
            walked += 1
    assert walked == 6


def test_mistakes_are_one_line(tmp_path: Path, home: Path) -> None:
    for arguments in (("status", "nobody"), ("logs", "../x"), ("stop", "nobody")):
        status, _, err = runs.archwright(*arguments)
        assert status == 2
        assert len(err.strip().splitlines()) == 1
        assert "not known" in err
    brief = runs.write_brief(tmp_path, "\nnonsense = 1\n", runs.TINY_BRIEF)
    status, _, err = runs.archwright("search", brief, "--detach")
    assert status == 2
    assert not (home / "runs").exists() or not list((home / "runs").iterdir())
