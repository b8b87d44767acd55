"""The registry: which runs exist, where their folders are, how they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from sqlalchemy import Column, MetaData, RowMapping, String, Table, Text, select

from archwright.errors import RunError
from archwright.memory.database import Database

TABLES = MetaData()

_runs = Table(
    "runs",
    TABLES,
    Column("run", String(64), primary_key=True),
    Column("folder", Text, nullable=False),
    Column("name", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created", String(32), nullable=False),
)

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHOWN_IDS = 10


class RunStatus(StrEnum):
    """How a run stands. ``missing``: its folder is gone; found out, never stored."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    WAITING = "waiting"
    MISSING = "missing"


@dataclass(frozen=True)
class RunEntry:
    """One run; ``name`` is its brief's, ``created`` the time in UTC (ISO 8601)."""

    run: str
    folder: Path
    name: str
    status: RunStatus
    created: str


class Registry:
    """The runs of one home. Any number of processes may use it at once."""

    def __init__(self, location: str | Path) -> None:
        self._database = Database(location, TABLES)

    def register(self, run: str, folder: Path, name: str) -> RunEntry:
        """Enter a run. Entering it again is the same as entering it once.

        A run may have moved: a new folder is taken when the old one is gone. Raises
        :class:`RunError` for an id that is not a plain name, or used by another folder.
        """
        if not _RUN_ID.fullmatch(run):
            raise RunError(f"run {run!r}: allowed 1 to 64 letters, digits, _ and -")
        folder = folder.absolute()
        row = {
            "run": run,
            "folder": str(folder),
            "name": name,
            "status": RunStatus.RUNNING.value,
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        }
        with self._database.write() as connection:
            self._database.insert_new(connection, _runs, [row])
            query = select(_runs).where(_runs.c.run == run)
            entry = _entry(connection.execute(query).mappings().one())
            if entry.folder != folder:
                if entry.status is not RunStatus.MISSING:
                    raise RunError(f"run {run}: already there, in {entry.folder}")
                moved = _runs.update().where(_runs.c.run == run).values(folder=str(folder))
                connection.execute(moved)
                entry = _entry(connection.execute(query).mappings().one())
        return entry

    def find(self, run: str) -> RunEntry:
        """The run with this id, or the only one whose id begins so. Raises :class:`RunError`."""
        entries = self.list()
        found = [entry for entry in entries if entry.run == run]
        found = found or [entry for entry in entries if run and entry.run.startswith(run)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(entry.run for entry in (found or entries)[-_SHOWN_IDS:]) or "none"
        if found:
            raise RunError(f"run {run!r}: begins several ids: {known}")
        raise RunError(f"run {run!r}: not known; known runs: {known}")

    def list(self) -> list[RunEntry]:
        """Every run, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(_runs).order_by(_runs.c.created, _runs.c.run))
            return [_entry(row) for row in rows.mappings()]

    def set_status(self, run: str, status: RunStatus) -> None:
        """Note how a run stands. Raises :class:`RunError` for an unknown run."""
        if status is RunStatus.MISSING:
            raise RunError("status = missing: it is found out, not set")
        change = _runs.update().where(_runs.c.run == run).values(status=status.value)
        with self._database.write() as connection:
            if connection.execute(change).rowcount == 0:
                raise RunError(f"run {run!r}: not known")

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _entry(row: RowMapping) -> RunEntry:
    folder = Path(row["folder"])
    status = RunStatus(row["status"]) if folder.is_dir() else RunStatus.MISSING
    return RunEntry(row["run"], folder, row["name"], status, row["created"])
