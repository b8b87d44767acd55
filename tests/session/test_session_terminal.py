"""A session without a model, driven through a pseudo-terminal; searches are real and tiny."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs

from archwright.session.store import list_sessions

KEY = re.compile(r"^ ?([0-9a-f]{8}) ", re.MULTILINE)
TINY = runs.TINY_BRIEF.replace("epochs = 3", "epochs = 1").replace("= 14", "= 6")


def fits(*outputs: str) -> None:
    """No line is wider than the terminal; paths may be."""
    for line in "".join(outputs).split("\n"):
        assert len(line.rstrip()) <= 80 or "/" in line, line


def test_a_brief_grows_and_ctrl_c_and_mistakes_do_not_end_the_session(
    open_terminal: Callable[..., Any],
) -> None:
    t = open_terminal()
    assert "still needed: name, task.data, objectives, budget.evaluations" in t.does("/brief")
    assert "minimise" in t.does("/brief set objectives.accuracy minimise")
    t.does("/brief set objectives.accuracy maximise")
    assert "still needs name, task.data, budget.evaluations" in t.does("/search")
    assert "no such command; allowed /brief, " in t.does("/nothing")
    assert "no run in this session yet" in t.does("/front")
    assert "hours = 'soon'" in t.does("/search soon")
    assert "no model to talk to" in t.does("make it small")
    fits(t.does("/help"), t.does("/sessions"))
    t.process.send("half a li")
    t.until("half a li")
    time.sleep(0.5)  # readline heeds an interrupt in the middle of a key with the next key only
    t.process.sendintr()
    t.until("archwright> ")
    t.process.send("/bri\t")
    t.process.expect_exact("/brief")
    t.send("")
    t.until("archwright> ")
    t.process.sendeof()
    assert f"archwright chat --session {t.session}" in t.process.read()


def test_kill_9_and_go_on(open_terminal: Callable[..., Any]) -> None:
    first = open_terminal()
    first.does("/brief set name kept")
    first.does("/steer smaller arrays")
    first.kill()
    again = open_terminal(first.session[:15])
    assert "brief kept; no run yet" in again.welcome
    assert 'name = "kept"' in again.does("/brief")


@pytest.mark.slow
def test_a_search_from_brief_to_export_through_a_kill(
    open_terminal: Callable[..., Any], tmp_path: Path, home: Path
) -> None:
    brief = runs.write_brief(tmp_path, text=TINY)
    t = open_terminal(folder=tmp_path)
    t.does(f"/brief load {brief.name}")
    t.send("/search")
    understood = t.until("[y/n] ")
    assert "evaluations = 6" in understood
    assert "hours = 24.0" in understood, "defaults are shown too"
    assert "nothing" not in t.does("n")
    assert not list_sessions()[0].runs
    t.send("/search 0.5")
    t.until("[y/n] ")
    t.send("y")
    t.until("training the supernet")
    t.kill()

    t = open_terminal(t.session)
    (run,) = list_sessions()[0].runs
    assert f"runs {run}" in t.welcome
    t.send("/watch")
    t.until("evaluated")
    t.process.sendintr()
    assert "stopped; the session and its runs go on" in t.until("archwright> ")
    watched = t.does("/watch")
    assert f"{run} finished: the budget of 6 evaluations is spent" in watched
    assert (home / "runs" / run / "report.html").is_file()

    front = t.does("/front latency_ms")
    keys = KEY.findall(front)
    why, vary = t.does(f"/why {keys[0]}"), t.does(f"/what-if clock_mhz=200 {keys[0]}")
    assert "bottleneck" in why
    assert "evidence" in why
    assert re.search(r"latency .*\+|latency .*0\.0%", vary), "a slower clock is no faster"
    network = t.does(f"/what-if width_3=8 {keys[-1]}")
    assert re.search(r"accuracy +\S+% +\S+% +\S+ points", network)
    side = t.does(f"/compare {keys[0]} {keys[-1]}")
    fits(front, why, vary, network, side, t.does("/status"), t.does("/recall"))
    assert "clock_mhz = 1: allowed [200, 400, 800]" in t.does("/what-if clock_mhz=1")
    assert "network.onnx" in t.does(f"/export {keys[0]}")
    assert list((home / "runs" / run / "designs").glob(f"{keys[0]}*/network.onnx"))
    assert "no design waits" in t.does("/approve")


@pytest.mark.slow
def test_the_walk_of_the_page_goes_as_it_says(open_terminal: Callable[..., Any]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "session.md").read_text(encoding="utf-8")
    walk = page.split("```session\n")[1].split("```")[0]
    t = open_terminal()
    for step in walk.removeprefix("> ").split("\n> "):
        typed, *expected = step.splitlines()
        if any("[y/n]" in line for line in expected):
            t.send(typed)
            t.until("[y/n] ")
            continue
        output = t.does(typed)
        for line in expected:
            assert line in output, f"after {typed}"


@pytest.mark.slow
def test_designs_wait_for_approval_and_a_rejection_changes_what_comes_next(
    open_terminal: Callable[..., Any], tmp_path: Path
) -> None:
    brief = runs.write_brief(tmp_path, text=f"approval = true\n{TINY}")
    t = open_terminal()
    t.does(f"/brief load {brief}")
    t.send("/search")
    t.until("[y/n] ")
    waiting = t.does("y")
    assert "designs that wait for approval" in waiting
    fits(waiting)
    keys = KEY.findall(waiting)
    assert len(keys) >= 2
    assert "recorded; still to decide" in t.does(f"/reject {keys[0]} too large, use narrow stages")
    t.does(f"/edit {keys[1]} clock_mhz=800")
    t.does("/steer prefer small arrays")
    t.kill()

    t = open_terminal(t.session)
    again = t.does("/status")
    assert f"{keys[0]}: rejected too large" in again, "decisions outlive a kill"
    assert f"{keys[1]}: edited clock_mhz=800" in again
    output = t.does("/approve")
    assert f"{len(keys) - 2} approved, 1 rejected, 1 edited" in output
    later = set(KEY.findall(output.partition("goes on")[2]))
    assert later
    assert keys[0] not in later
    assert "too large" in " ".join(output.partition("designs that wait")[2].split())
    deadline = time.monotonic() + runs.PATIENCE_S
    while "designs that wait" in output:
        assert time.monotonic() < deadline
        output = t.does("/approve all")
    assert "finished" in output
