"""Reading the archives of other runs, in whatever state they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from archwright.memory.archive import ARCHIVE_FILE
from archwright.memory.reader import ArchiveReader
from archwright.memory.registry import RunEntry

Found = TypeVar("Found")


def archive_file(entry: RunEntry) -> Path:
    """Where a run's archive is."""
    return entry.folder / ARCHIVE_FILE


def fingerprint(entry: RunEntry) -> str | None:
    """Changes whenever the archive may have changed; None when there is no archive."""
    archive = archive_file(entry)
    log = archive.with_name(f"{ARCHIVE_FILE}-wal")
    try:
        marks = [_mark(archive)]
        # Reading leaves an empty log behind, which says nothing.
        marks += [_mark(log)] if log.exists() and log.stat().st_size else []
    except OSError:
        return None
    return " ".join([str(archive), *marks])


def _mark(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def read_past(
    entry: RunEntry, read: Callable[[ArchiveReader], Found], skipped: list[str]
) -> Found | None:
    """What ``read`` finds in a run's archive; None, and a reason in ``skipped``, if it cannot."""
    try:
        with ArchiveReader(archive_file(entry)) as archive:
            return read(archive)
    except Exception as error:  # noqa: BLE001 - another run's file may hold anything
        lines = str(error).splitlines() or [type(error).__name__]
        skipped.append(f"run {entry.run}: {lines[0][:300]}")
        return None
