"""Sessions on disk: one file of JSON lines each, only ever added to, replayed when opened.

A line is on the disk before anything follows from it, so that a session continues where
it was after any kill; a line that a kill cut short is removed. One process at a time
writes a session.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from archwright.agents.model.limits import Spent
from archwright.errors import UserError, shown
from archwright.home import home

SESSION_FILE = "session.jsonl"
_LOCK_FILE = ".lock"
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHOWN_IDS = 10


@dataclass(frozen=True)
class Decision:
    """What the user said to a design that waits: approved, rejected or edited."""

    run: str
    key: str
    verdict: str
    reason: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


def _spent(line: Mapping[str, Any]) -> Spent:
    """What requests to the model took; dollars are null where the price is not known."""
    dollars, seconds = line["dollars"], float(line.get("seconds", 0.0))
    requests = int(line.get("requests", 1))
    unpriced = requests if dollars is None else 0
    return Spent(requests, int(line["tokens"]), float(dollars or 0.0), unpriced, seconds)


@dataclass
class State:
    """What the lines of a session amount to.

    ``brief`` is a plain table that may be incomplete, ``agreed`` what it was when the user
    last set it or said yes to it; ``decisions`` are all that were
    taken and ``open_decisions`` those not handed to their run yet, by design key;
    ``notes`` are steering notes not handed over yet. ``starting`` is the line of a search
    that was about to start and whose run is not recorded. ``planned`` tells the briefs about
    which the planner's model was asked.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    brief: dict[str, Any] = field(default_factory=dict)
    agreed: dict[str, Any] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    open_decisions: dict[str, Decision] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    model: str = ""
    starting: dict[str, Any] | None = None
    spent: Spent = field(default_factory=Spent)
    planned: set[str] = field(default_factory=set)

    def take(self, line: Mapping[str, Any]) -> None:
        """Add one line. Lines of kinds that are not known here change nothing."""
        match line.get("kind"):
            case "message":
                self.messages.append(dict(line["message"]))
            case "spent":
                self.spent += _spent(line)
            case "brief":
                self.brief = dict(line["brief"])
                if line.get("by") != "model":
                    self.agreed = self.brief
            case "starting":
                self.starting = dict(line)
            case "not started":
                self.starting = None
            case "run":
                self.runs.append(line["run"])
                self.starting = None
            case "decision":
                decision = Decision(
                    line["run"], line["key"], line["verdict"], line["reason"], line["changes"]
                )
                self.decisions.append(decision)
                self.open_decisions[decision.key] = decision
            case "decided":
                self.open_decisions, self.notes = {}, []
            case "note":
                self.notes.append(line["text"])
            case "planned":
                self.planned.add(str(line["brief"]))
            case "model":
                self.model = line["profile"]


@dataclass(frozen=True)
class SessionEntry:
    """A session as a list shows it: when it began (UTC), its brief's name, its runs."""

    session: str
    started: str
    name: str
    runs: tuple[str, ...]


class Session:
    """One open session; this process is the only one that writes it."""

    def __init__(self, session: str) -> None:
        from filelock import FileLock, Timeout

        self.id = session
        self.folder = _folder() / session
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / _LOCK_FILE, timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(f"session {session}: is open in another terminal") from None
        self._path = self.folder / SESSION_FILE
        lines = _whole_lines(self._path)
        self.state = _replayed(lines)
        self._empty = not lines
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        _cut_partial_line(self._file)
        _sync_folder(self.folder)

    @classmethod
    def open(cls, session: str | None) -> Session:
        """The session with this id, or the only one whose id begins so; None: a new one.

        Raises :class:`UserError` where there is none, several, or another process has it.
        """
        if session is not None:
            return cls(find_session(session))
        return cls(f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")

    def add(self, kind: str, **data: Any) -> None:
        """Record a line: on the disk, then in the state."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind, **data}
        rest = (json.dumps(line, allow_nan=False) + "\n").encode()
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)
        self._empty = False
        self.state.take(line)

    def close(self) -> None:
        """Let others write the session; one in which nothing happened is removed."""
        os.close(self._file)
        if self._empty:
            self._path.unlink()
        self._lock.release()
        if self._empty:
            (self.folder / _LOCK_FILE).unlink(missing_ok=True)
            self.folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def list_sessions() -> list[SessionEntry]:
    """Every session of this home, oldest first; those that are open too."""
    found = []
    for path in _folder().glob(f"*/{SESSION_FILE}"):
        lines = _whole_lines(path)
        if not lines or not _SESSION_ID.fullmatch(path.parent.name):
            continue
        state = _replayed(lines)
        started, name = str(lines[0].get("time", "")), str(state.brief.get("name", ""))
        found.append(SessionEntry(path.parent.name, started, name, tuple(state.runs)))
    return sorted(found, key=lambda entry: (entry.started, entry.session))


def find_session(session: str) -> str:
    """The whole id of a session from the beginning of it. Raises :class:`UserError`."""
    entries = [entry.session for entry in list_sessions()]
    found = [entry for entry in entries if entry == session]
    found = found or [entry for entry in entries if session and entry.startswith(session)]
    if len(found) == 1:
        return found[0]
    known = ", ".join((found or entries)[-_SHOWN_IDS:]) or "none"
    what = "begins several ids" if found else "not known; known sessions"
    raise UserError(f"session {shown(session)}: {what}: {known}")


def _folder() -> Path:
    return home() / "sessions"


def _replayed(lines: list[dict[str, Any]]) -> State:
    state = State()
    for line in lines:
        try:
            state.take(line)
        except (KeyError, TypeError, ValueError):  # damaged, or written by another version
            continue
    return state


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a session's file; what is no JSON object is left out."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    lines = []
    for text in content[: content.rfind(b"\n") + 1].split(b"\n"):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):  # empty or damaged
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def _cut_partial_line(file: int) -> None:
    """Remove what a kill left of a line, so that the next one begins on its own."""
    size = os.fstat(file).st_size
    whole = os.pread(file, size, 0).rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(file, whole)
        os.fsync(file)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder, and its own in the one above, outlive a power cut."""
    for path in (folder, folder.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
