"""What the workers of test_pool.py do; apart, so that a worker can import it by name."""

import functools
import os
import signal
import time
from pathlib import Path


class Garbage:
    """Pickles well and unpickles with an error."""

    def __reduce__(self):
        return int, ("no number",)


def act(task):
    """What a worker does: ("double", 3), ("sleep", seconds), ("die once", path) ..."""
    kind, value = task
    if kind == "double":
        return 2 * value
    if kind == "sleep":
        time.sleep(value)
        return value
    if kind == "raise":
        raise ValueError(value)
    if kind == "exit":
        os._exit(value)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "die once":
        try:
            Path(value).touch(exist_ok=False)
        except FileExistsError:
            return "second try"
        os._exit(1)
    if kind == "pid":
        return os.getpid()
    return {"lambda": lambda: None, "garbage": Garbage()}[kind]


def start():
    return act


def start_wrong():
    raise OSError("no supernet here")


def start_dead():
    os._exit(7)


def make_adder(amount):
    return functools.partial(int.__add__, amount)
