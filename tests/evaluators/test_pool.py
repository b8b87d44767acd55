import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from archwright.errors import MeasurementFailed
from archwright.evaluators.pool import TaskFailed, WorkerPool

sys.path.insert(0, str(Path(__file__).parent))  # handed on to the workers

from pool_tasks import make_adder, start, start_dead, start_wrong


def collect(pool, tasks):
    results = list(pool.run(tasks))
    assert sorted(index for index, _ in results) == list(range(len(tasks)))
    return [result for _, result in sorted(results, key=lambda pair: pair[0])]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_and_failures_whatever_the_number_of_workers(workers: int) -> None:
    tasks = [("double", n) for n in range(7)] + [("raise", "one\nline")]
    with WorkerPool(start, workers) as pool:
        assert collect(pool, tasks) == [*range(0, 14, 2), TaskFailed("ValueError: one line")]
        assert collect(pool, []) == []


def test_bad_tasks_do_not_harm_the_others(tmp_path: Path) -> None:
    tasks = [
        ("sleep", 60),
        ("exit", 3),
        ("kill", None),
        ("die once", str(tmp_path / "died")),
        ("lambda", None),
        ("garbage", None),
        ("double", 21),
    ]
    with WorkerPool(start, 2, time_limit_s=1.5) as pool:
        results = collect(pool, tasks)
        assert [type(result) for result in results[:3]] == [TaskFailed] * 3
        assert results[0].reason == "stopped after the time limit of 1.5 s"
        assert results[1].reason == "the worker ended with status 3, 2 times"
        assert results[2].reason == "the worker was killed by signal 9, 2 times"
        assert results[3] == "second try"
        assert results[4].reason.startswith("its result cannot be sent")
        assert results[5].reason.startswith("its result cannot be read")
        assert results[6] == 42
        assert collect(pool, [("double", 4)]) == [8]  # and the pool goes on


def test_a_worker_that_dies_idle_is_replaced() -> None:
    with WorkerPool(start, 1) as pool:
        (pid,) = collect(pool, [("pid", None)])
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
        assert collect(pool, [("double", 1)]) == [2]


def test_results_come_as_they_exist() -> None:
    with WorkerPool(start, 2) as pool:
        list(pool.run([("double", 1), ("double", 2)]))  # both are up
        first = next(results := pool.run([("sleep", 30), ("double", 5)]))
        assert first == (1, 10)
        results.close()  # the sleeper is killed, not waited for
        assert collect(pool, [("double", 6)]) == [12]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(start_wrong, "OSError: no supernet here"), (start_dead, "ended with status 7")],
)
def test_workers_that_cannot_start(wrong, message: str) -> None:
    with WorkerPool(wrong, 2) as pool, pytest.raises(MeasurementFailed, match=message):
        collect(pool, [("double", 1)])


def test_close_leaves_no_process() -> None:
    pool = WorkerPool(start, 2)
    pids = set(collect(pool, [("pid", None), ("pid", None)]))
    pool.close()
    assert not [pid for pid in pids if alive(pid)]


SLEEPERS = """
import sys, time
sys.path.insert(0, {folder!r})
import functools, os
from archwright.evaluators.pool import WorkerPool

def sleep(task):
    print(os.getpid(), flush=True)
    time.sleep(120)

def start():
    return sleep

if __name__ == "__main__":
    try:
        with WorkerPool(start, 2) as pool:
            list(pool.run([1, 2]))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, ending: int) -> None:
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS.format(folder=str(tmp_path)))
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    if ending == signal.SIGINT:
        os.killpg(parent.pid, ending)  # as a terminal does
        said, complained = parent.communicate(timeout=20)
        assert said == "interrupted\n"
        assert complained == ""
    else:
        parent.kill()
        parent.communicate(timeout=20)
    until = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_start_may_carry_settings() -> None:
    with WorkerPool(functools.partial(make_adder, 10), 1) as pool:
        assert collect(pool, [1, 2]) == [11, 12]
