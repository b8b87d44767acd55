"""A pool of worker processes that survives what its tasks do.

Each task has a time limit. A worker that hangs is killed and replaced; one that dies is
replaced and its task is tried once more. Either gives a :class:`TaskFailed` with the
reason, never an exception and never a lost task. Workers end when the parent does,
even when it is killed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any, Generic, TypeVar

from archwright.errors import MeasurementFailed

Task = TypeVar("Task")
Result = TypeVar("Result")

START_LIMIT_S = 120.0
_ATTEMPTS = 2


@dataclass(frozen=True)
class TaskFailed:
    """Why a task gave no result."""

    reason: str


class WorkerPool(Generic[Task, Result]):
    """Runs tasks in ``workers`` processes; with 0 workers in this one, without time limit.

    ``start`` is picklable (a function or a frozen dataclass with ``__call__``). It is
    called once in each worker and gives the function that runs a task there. ``preload``
    names modules that workers share instead of each loading its own, where the platform
    can (forkserver). Use it as a context manager, or call :meth:`close`.
    """

    def __init__(
        self,
        start: Callable[[], Callable[[Task], Result]],
        workers: int,
        time_limit_s: float = 60.0,
        preload: Sequence[str] = (),
    ) -> None:
        self._start = start
        self._count = workers
        self._time_limit_s = time_limit_s
        self._preload = list(preload)
        self._workers: list[_Worker] = []
        self._run_here: Callable[[Task], Result] | None = None

    def run(
        self, tasks: Sequence[Task], sizes: Sequence[int] | None = None
    ) -> Iterator[tuple[int, Result | TaskFailed]]:
        """(index, result or failure) of every task, each as soon as it exists.

        A task of size n, where ``sizes`` are given, has n times the limit.
        Raises :class:`MeasurementFailed` when workers cannot be started. When the caller
        stops early, or is interrupted, the workers that are busy are killed.
        """
        if self._count == 0:
            yield from self._run_in_process(tasks)
            return
        waiting = deque((index, 1) for index in range(len(tasks)))
        try:
            while waiting or any(worker.task is not None for worker in self._workers):
                self._start_workers(len(waiting))
                for worker in self._workers:
                    if worker.ready and worker.task is None and waiting:
                        index, attempt = waiting.popleft()
                        limit = self._time_limit_s * (sizes[index] if sizes else 1)
                        worker.give(index, attempt, tasks[index], limit)
                for worker in self._next_events():
                    yield from self._take(worker, waiting)
        finally:
            for worker in [worker for worker in self._workers if worker.task is not None]:
                self._drop(worker)

    def close(self) -> None:
        """End all workers."""
        for worker in list(self._workers):
            self._drop(worker)

    def __enter__(self) -> WorkerPool[Task, Result]:
        return self

    def __exit__(self, *unwinding: object) -> None:
        self.close()

    def _run_in_process(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result | TaskFailed]]:
        if self._run_here is None:
            try:
                self._run_here = self._start()
            except Exception as error:  # the same answer as from a worker
                raise MeasurementFailed(f"a worker cannot start: {_describe(error)}") from error
        for index, task in enumerate(tasks):
            try:
                yield index, self._run_here(task)
            except Exception as error:  # noqa: BLE001 - a task's failure is a result
                yield index, TaskFailed(_describe(error))

    def _start_workers(self, waiting: int) -> None:
        busy = sum(worker.task is not None for worker in self._workers)
        while len(self._workers) < min(self._count, busy + waiting):
            self._workers.append(_Worker(self._start, self._preload))

    def _next_events(self) -> list[_Worker]:
        """The workers that have something to say, died, or are over their limit."""
        deadline = min(worker.deadline for worker in self._workers)
        left = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
        heard = wait([worker.connection for worker in self._workers], timeout=left)
        now = time.monotonic()
        return [w for w in self._workers if w.connection in heard or w.deadline <= now]

    def _take(
        self, worker: _Worker, waiting: deque[tuple[int, int]]
    ) -> Iterator[tuple[int, Result | TaskFailed]]:
        """Read one event of a worker: ready, a result, its death, or its time-out."""
        if not worker.connection.poll():
            self._drop(worker)
            if worker.task is None:
                raise MeasurementFailed(f"a worker did not start within {START_LIMIT_S:g} s")
            yield (
                worker.task,
                TaskFailed(f"stopped after the time limit of {worker.limit_s:g} s"),
            )
            return
        try:
            kind, content = pickle.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            self._drop(worker, patience_s=5.0)
            if not worker.ready:
                raise MeasurementFailed(f"a worker {worker.ending} while it started") from None
            if worker.task is None:
                return  # it was idle: the next task gets another
            if worker.attempt < _ATTEMPTS:
                waiting.appendleft((worker.task, worker.attempt + 1))
            else:
                yield worker.task, TaskFailed(f"the worker {worker.ending}, {_ATTEMPTS} times")
            return
        except Exception as error:  # noqa: BLE001 - unpickling a task's result may raise anything
            kind, content = "failed", f"its result cannot be read: {_describe(error)}"
        if kind == "cannot start":
            self._drop(worker)
            raise MeasurementFailed(f"a worker cannot start: {content}")
        index = worker.finish()
        if index is not None:
            yield index, TaskFailed(content) if kind == "failed" else content

    def _drop(self, worker: _Worker, patience_s: float = 0.0) -> None:
        self._workers.remove(worker)
        worker.end(patience_s)


class _Worker:
    """One process, its pipe, and the task it has."""

    def __init__(self, start: Callable[[], Callable[[Any], Any]], preload: list[str]) -> None:
        context = _context(preload)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, start), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends when the worker does
        self.ready = False
        self.task: int | None = None
        self.attempt = 0
        self.limit_s = START_LIMIT_S
        self.deadline = time.monotonic() + START_LIMIT_S

    def give(self, index: int, attempt: int, task: object, time_limit_s: float) -> None:
        """Send a task."""
        self.task, self.attempt = index, attempt
        self.limit_s = time_limit_s
        self.deadline = time.monotonic() + time_limit_s
        with contextlib.suppress(OSError):  # it died: its pipe says so when it is read
            self.connection.send(task)

    def finish(self) -> int | None:
        """Be free for a task; the index of the one that is done, None after the start."""
        index, self.task = self.task, None
        self.ready = True
        self.deadline = float("inf")
        return index

    def end(self, patience_s: float) -> None:
        """Kill the process, unless it ends by itself within ``patience_s``."""
        self._process.join(patience_s)
        self._process.kill()
        self._process.join()
        self.connection.close()

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        code = self._process.exitcode
        return f"was killed by signal {-code}" if code and code < 0 else f"ended with status {code}"


def _context(preload: list[str]) -> ForkServerContext | SpawnContext:
    """Workers are forked from a server that has the modules loaded, else started bare."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    return context


def _work(connection: Connection, start: Callable[[], Callable[[Any], Any]]) -> None:
    """A worker's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        run = start()
    except Exception as error:  # noqa: BLE001 - reported to the parent
        _send(connection, "cannot start", _describe(error))
        return
    _send(connection, "ready", None)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            kind, content = "done", run(task)
        except Exception as error:  # noqa: BLE001 - a task's failure is a result
            kind, content = "failed", _describe(error)
        _send(connection, kind, content)


def _send(connection: Connection, kind: str, content: object) -> None:
    try:
        message = pickle.dumps((kind, content))
    except Exception as error:  # noqa: BLE001 - pickling foreign objects may raise anything
        message = pickle.dumps(("failed", f"its result cannot be sent: {_describe(error)}"))
    try:
        connection.send_bytes(message)
    except OSError:
        sys.exit()  # nobody listens any more


def _end_with_parent() -> None:
    """End at once when the parent is gone, even within a task."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _describe(error: Exception) -> str:
    """The error in one line of bounded length."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
