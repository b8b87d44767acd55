"""Starts a script of this folder so that it cannot outlive the process that asked for it.

``python -P guard.py SCRIPT MEMORY_BYTES``, with a pipe as standard input that ends when
the parent does. A watcher process waits for that; it is a process, not a thread, because
a simulator may hold the interpreter's lock for minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import runpy
import shutil
import signal
import sys
from pathlib import Path

LARGEST_FILE = 2 * 2**30


def main() -> None:
    """Watch the parent, limit this process, run the script, report its failure."""
    script, memory_bytes = sys.argv[1], int(sys.argv[2])
    if os.fork() == 0:
        _end_with_parent()
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    os.close(quiet)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        runpy.run_path(script, run_name="__main__")
    except MemoryError:
        _fail(f"it needs more than {memory_bytes / 2**30:g} GiB of memory")
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        _fail(f"{type(error).__name__}: {error}")


def _limit(what: int, value: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(ValueError, OSError):  # a platform that does not know this limit
        resource.setrlimit(what, (value, value))


def _fail(reason: str) -> None:
    Path("result.json").write_text(json.dumps({"failure": reason}), encoding="utf-8")


def _end_with_parent() -> None:
    """Wait until standard input ends, remove the working folder and kill the group."""
    for descriptor in (1, 2):
        os.close(descriptor)
    while os.read(0, 1):
        pass
    shutil.rmtree(Path.cwd(), ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
