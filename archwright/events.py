"""The event log of a run: what happened, in order, one JSON object a line.

Every event has a name that is unique in its run (kind, step, label), so that a step
which runs again after a kill records nothing twice. A line cut short by a kill is
removed when the log is opened again.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Plain = str | int | float | bool | None
TIME_FIELDS = frozenset({"time", "seconds", "seconds_left"})
"""Fields of events that say when something was, or how long it took or will take."""
RUN_FIELDS = frozenset({"run"})
"""Fields of events that name the run itself."""


@dataclass(frozen=True)
class Event:
    """One thing that happened. ``label`` tells events of one kind and step apart."""

    kind: str
    step: int = -1
    label: str = ""
    data: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique within a run."""
        return f"{self.kind}/{self.step}/{self.label}"


Listener = Callable[[Event], None]


class EventLog:
    """Appends events to a file and tells a listener. Usable from several threads."""

    def __init__(self, path: Path, listener: Listener) -> None:
        self._path, self._listener = path, listener
        self._lock = threading.Lock()
        _cut_partial_line(path)  # first: what is cut must not count as recorded
        self._known = {_name(row) for row in read_events(path)}

    def record(self, event: Event) -> None:
        """Write the event unless it is recorded already, and tell the listener."""
        with self._lock:
            if event.name not in self._known:
                own = {
                    "time": round(time.time(), 3),
                    "kind": event.kind,
                    "step": event.step,
                    "label": event.label,
                }
                row = own | dict(event.data) | own  # data may not rename an event
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                self._known.add(event.name)
        self._listener(event)

    def note(self, step: int, role: str, mind: str, decision: str, reason: str) -> None:
        """Record what a role decided, and why; the same word of a step once."""
        label = f"{role}/{decision}/{zlib.crc32(reason.encode()):08x}"
        data = {"role": role, "mind": mind, "decision": decision, "reason": reason}
        self.record(Event("decision", step, label, data))

    def rows(self) -> list[dict[str, Any]]:
        """Everything recorded so far, as plain rows."""
        with self._lock:
            return read_events(self._path)

    def show(self, event: Event) -> None:
        """Tell the listener only: progress that nobody needs tomorrow."""
        self._listener(event)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a log, in order. Lines that are no events are left out."""
    if not path.exists():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # cut short, damaged, or not written by us
            continue
        if isinstance(row, dict) and {"kind", "step", "label"} <= row.keys():
            events.append(row)
    return events


def comparable(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events without the fields in which two runs that did the same may differ."""
    own = TIME_FIELDS | RUN_FIELDS
    return [{name: value for name, value in row.items() if name not in own} for row in rows]


def _name(row: Mapping[str, Any]) -> str:
    return Event(row["kind"], row["step"], row["label"]).name


def _cut_partial_line(path: Path) -> None:
    """Remove what a kill left of a line, so that the next one begins on its own."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
