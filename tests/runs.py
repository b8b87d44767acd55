"""Real runs for tests: a small brief, the command line in a process of its own, its archive."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from archwright.memory.archive import Archive

TINY_BRIEF = """
name = "tiny"
seed = 3

[task]
data = "digits"

[objectives]
accuracy = "maximise"
latency_ms = "minimise"
area_mm2 = "minimise"

[constraints]
power_mw.at_most = 800

[hardware.choices]
rows = [4, 8, 16]
columns = [4, 8, 16]
input_buffer_kib = [1, 8]
weight_buffer_kib = [1, 8]
output_buffer_kib = [1, 8]
clock_mhz = [200, 800]

[supernet]
epochs = 3

[promotion]
designs = 0

[budget]
evaluations = 14
"""
"""A whole search in some seconds: few epochs, few evaluations, a small hardware space.

Nothing is promoted; tests of promotion say what.
"""

SHORT_BRIEF = TINY_BRIEF.replace("evaluations = 14", "evaluations = 7")
"""The same supernet, a shorter search: where the front that it finds does not matter."""

PATIENCE_S = 600.0


def write_brief(folder: Path, extra: str = "", text: str = TINY_BRIEF) -> Path:
    """The tiny brief, with more tables behind it."""
    path = folder / "tiny.toml"
    path.write_text(text + extra, encoding="utf-8")
    return path


def start(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """``archwright ARGUMENTS`` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "archwright", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a process that ends by itself."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"did not end: {err[-2000:]}") from None
    return process.returncode, out, err


def archwright(*arguments: object) -> tuple[int, str, str]:
    """Run the command line to its end."""
    return finish(start(*arguments))


def search(brief: Path, *options: object) -> dict[str, Any]:
    """A whole search; the JSON object that it prints last."""
    status, out, err = archwright("search", brief, "--json", *options)
    assert status == 0, err[-3000:]
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result


def kill_when(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """kill -9 the process (only it: its workers must notice by themselves) at a point."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert process.poll() is None, f"ended too early: {process.communicate()[1][-2000:]}"
        assert time.monotonic() < deadline, "the point was never reached"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "the point was never reached"
        time.sleep(0.1)


def count(folder: Path, query: str) -> int:
    """The number that an SQL query on the run's archive gives; 0 while there is none."""
    import sqlite3

    path = folder / "archive.db"
    if not path.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return int(connection.execute(query).fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:  # not made yet
        return 0


def run_of(folder: Path) -> str:
    """The id of the run in a folder."""
    from archwright.home import registry_file
    from archwright.memory.registry import Registry

    with Registry(registry_file()) as registry:
        return next(e.run for e in registry.list() if e.folder == folder.absolute())


def front_of(result: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """A front as comparable values: designs and every metric with its interval."""
    return [
        (d["key"], *((m, v["value"], v["low"], v["high"]) for m, v in d["metrics"].items()))
        for d in result["front"]
    ]


def open_archive(folder: Path) -> Archive:
    """The archive of a run's folder."""
    return Archive(folder / "archive.db")


def share_supernets(source: Path, home: Path) -> None:
    """Give a home the supernets that another has trained."""
    if (source / "supernets").is_dir():
        shutil.copytree(source / "supernets", home / "supernets", dirs_exist_ok=True)
