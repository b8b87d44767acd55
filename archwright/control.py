"""How a run is told to stop, and how others see that a process works on it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

PROCESS_FILE = ".process"
"""In a run's folder: id and start time of the process that works on it, or did last."""


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether SIGTERM has arrived since.

    The run then ends after the evaluations in flight, with a report. Signals reach only a
    program's main thread; in another one the answer stays no.
    """
    asked = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before: Any = signal.signal(signal.SIGTERM, remember)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


def note_process(folder: Path, pid: int) -> None:
    """Write down which process works on the run in ``folder``."""
    import psutil

    try:
        since = psutil.Process(pid).create_time()
    except psutil.Error:
        return
    partial = folder / f"{PROCESS_FILE}.{os.getpid()}"
    partial.write_text(json.dumps({"pid": pid, "since": since}), encoding="utf-8")
    partial.replace(folder / PROCESS_FILE)


def working_process(folder: Path) -> int | None:
    """The id of the process that works on the run in ``folder``; None when none does.

    An id that another program has been given since is told apart by its start time.
    """
    import psutil

    try:
        noted = json.loads((folder / PROCESS_FILE).read_text(encoding="utf-8"))
        process = psutil.Process(int(noted["pid"]))
        same = abs(process.create_time() - float(noted["since"])) < 1.0
        return process.pid if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
