"""Sessions on disk: nothing recorded is lost, whatever ends the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.model.limits import Spent
from archwright.errors import UserError
from archwright.session.store import SESSION_FILE, Session, State, list_sessions

WRITER = """
import sys
from archwright.session.store import Session
session = Session.open(sys.argv[1] or None)
print(session.id, flush=True)
for number in range(10**6):
    session.add("note", text=f"note {number}")
    print(number, flush=True)
"""


def writer(session: str = "") -> subprocess.Popen[str]:
    """A process that records notes 0, 1, 2 ... and says so after each."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, session], stdout=subprocess.PIPE, text=True
    )


def test_a_session_is_what_was_recorded() -> None:
    with Session.open(None) as session:
        session.add("brief", brief={"name": "small"})
        session.add("message", message={"role": "user", "content": "größer\nplease"})
        session.add("starting", name="small")
        session.add("run", run="small-1")
        session.add("note", text="smaller kernels")
        session.add(
            "decision", run="small-1", key="ab", verdict="rejected", reason="large", changes={}
        )
        session.add("model", profile="local")
        session.add("spent", tokens=12, dollars=0.5)
        session.add("spent", tokens=8, dollars=None, seconds=1.5)
        before = session.state
        assert before.spent == Spent(2, 20, 0.5, unpriced=1, seconds=1.5)
    with Session.open(session.id) as again:
        assert again.state == before
        assert again.state.runs == ["small-1"]
        assert again.state.starting is None
        assert again.state.open_decisions["ab"].reason == "large"
        again.add("decided", run="small-1")
        assert (again.state.open_decisions, again.state.notes) == ({}, [])
        assert len(again.state.decisions) == 1
    (entry,) = list_sessions()
    assert (entry.session, entry.name, entry.runs) == (session.id, "small", ("small-1",))


def test_kill_9_at_any_point_loses_no_recorded_line() -> None:
    process = writer()
    assert process.stdout is not None
    session = process.stdout.readline().strip()
    for _ in range(20):
        said = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    said = max([said, *(int(line) for line in process.stdout if line.strip().isdigit())])
    process.stdout.close()
    with Session.open(session) as again:
        numbers = [int(text.split()[1]) for text in again.state.notes]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > said


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_session_cut_anywhere_opens_and_goes_on(cut: int) -> None:
    with Session.open(None) as session:
        for number in range(4):
            session.add("note", text=f"note {number} ü")
        path = session.folder / SESSION_FILE
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    whole = content.count(b"\n")
    with Session(session.id) as again:
        assert again.state.notes == [f"note {n} ü" for n in range(whole)]
        again.add("note", text="after")
    with Session(session.id) as last:
        assert last.state.notes == [*(f"note {n} ü" for n in range(whole)), "after"]


def test_two_terminals_do_not_write_one_session_and_a_kill_frees_it() -> None:
    process = writer()
    assert process.stdout is not None
    session = process.stdout.readline().strip()
    process.stdout.readline()
    try:
        with pytest.raises(UserError, match=f"session {session}: is open in another terminal"):
            Session.open(session)
        assert list_sessions()[0].session == session, "listing needs no lock"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with Session.open(session) as free:
        assert free.state.notes


def test_damaged_and_unknown_lines_are_passed_over() -> None:
    with Session.open(None) as session:
        session.add("note", text="one")
        path = session.folder / SESSION_FILE
    with path.open("a", encoding="utf-8") as file:
        lines = ["{", "[]", '{"kind": "note"}', '{"kind": "from the future"}', "\x00"]
        file.write("\n".join([*lines, json.dumps({"kind": "note", "text": "two"}), ""]))
    with Session.open(session.id) as again:
        assert again.state.notes == ["one", "two"]


def test_an_unknown_id_names_the_known_ones(home: Path) -> None:
    for wrong in ("none", "../x", "", "x\x1b[2J"):
        with pytest.raises(UserError, match="not known; known sessions: none") as caught:
            Session.open(wrong)
        assert str(caught.value).isprintable()
    with Session("abc-1") as one, Session("abd-2") as two:
        one.add("note", text="x")
        two.add("note", text="x")
    with pytest.raises(UserError, match="begins several ids: abc-1, abd-2"):
        Session.open("ab")
    with Session.open("abc") as found:
        assert found.id == "abc-1"
    assert not (home / "x").exists()


def test_a_session_in_which_nothing_happened_leaves_nothing() -> None:
    with Session.open(None) as session:
        folder = session.folder
    assert not folder.exists()
    assert list_sessions() == []


def test_a_killed_start_is_told_from_one_that_failed() -> None:
    state = State()
    state.take({"kind": "starting", "name": "a", "time": "2026-01-01T00:00:00+00:00"})
    assert state.starting is not None
    state.take({"kind": "not started"})
    assert state.starting is None
