"""Runs a script of ``children/`` in a process of its own, and leaves nothing behind.

The child has a process group and session of its own, a time limit, a memory limit and a
temporary folder; what it prints is read but for its end thrown away. However the call
ends, by a result, a failure, a time-out, an interrupt or the death of this process, the
whole group is killed and the folder removed (see ``children/guard.py``).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from archwright.errors import MeasurementFailed, printable

MEMORY_BYTES = 8 * 2**30
LARGEST_RESULT = 16 * 2**20
_KEPT_OUTPUT = 4096
_CHILDREN = Path(__file__).parent / "children"
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")


def run_child(
    script: str | Path,
    task: Mapping[str, Any],
    time_limit_s: float,
    files: Mapping[str, str] | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> dict[str, Any]:
    """What ``script`` (a name in ``children/``) answers to ``task``; both are JSON objects.

    ``files`` are written into its folder, which is its working folder, before it starts.
    The script reads task.json and writes result.json there; its folders for temporary and
    home files lie there, too, and it sees no other variable of the environment than where
    programs are. Raises :class:`MeasurementFailed` with the reason in one line.
    """
    with tempfile.TemporaryDirectory(
        prefix="archwright-child-", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        for file_name, text in {**(files or {}), "task.json": json.dumps(task)}.items():
            (folder / file_name).write_text(text, encoding="utf-8")
        # No folder but those of the installed packages is searched for modules.
        command = (sys.executable, "-P", "-s", str(_CHILDREN / "guard.py"))
        process = subprocess.Popen(
            (*command, str(_CHILDREN / script), str(memory_bytes)),
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.PIPE,  # never written to: it ends when this process does
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            ended, said = _listen(process, time.monotonic() + time_limit_s)
        finally:
            _end(process)
        if not ended:
            raise MeasurementFailed(f"stopped after the time limit of {time_limit_s:g} s")
        return _result(folder / "result.json", process.returncode, said)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    places = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"), str(folder))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # One seed for the order of sets, which some searches go through.
    return {**kept, **places, **threads, "PYTHONHASHSEED": "0"}


def _listen(process: subprocess.Popen[bytes], deadline: float) -> tuple[bool, str]:
    """Wait for the child's end; whether it came before ``deadline``, and its last words."""
    output: IO[bytes] | None = process.stdout
    said = b""
    while not _has_ended(process):
        left = deadline - time.monotonic()
        if left <= 0:
            return False, ""
        # A short wait without output: the child may have closed its output and go on.
        readable = output is not None and select.select([output], [], [], min(left, 0.05))[0]
        if output is not None and readable:
            heard = os.read(output.fileno(), 65536)
            said = (said + heard)[-_KEPT_OUTPUT:]
            output = output if heard else None
        elif output is None:
            time.sleep(min(left, 0.05))
    while output is not None and select.select([output], [], [], 0)[0]:
        heard = os.read(output.fileno(), 65536)
        said = (said + heard)[-_KEPT_OUTPUT:]
        if not heard or time.monotonic() > deadline:
            break
    return True, said.decode("utf-8", "replace")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended. It is not reaped, so that its group keeps its number."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child's group, the guard's watcher with it, and reap the child."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _result(path: Path, status: int, said: str) -> dict[str, Any]:
    """What the child wrote, or the reason why it wrote nothing that can be used."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = f": {printable(lines[-1])[:300]}" if lines else ""
    if status < 0:
        raise MeasurementFailed(f"killed by {_signal(-status)}{last}")
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST_RESULT:
            raise MeasurementFailed(f"its result is no file of at most {LARGEST_RESULT} bytes")
        result = json.loads(path.read_bytes())
    except OSError:
        raise MeasurementFailed(f"ended with status {status} and no result{last}") from None
    except (ValueError, RecursionError):
        raise MeasurementFailed(f"its result is not JSON{last}") from None
    if not isinstance(result, dict):
        raise MeasurementFailed("its result is no JSON object")
    if "failure" in result:
        raise MeasurementFailed(printable(" ".join(str(result["failure"]).split()))[:300])
    return result


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
