"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
"""The command line with these arguments: status, standard output, standard error."""


def one_line(err: str) -> str:
    """What a user's mistake says: one line, no traceback."""
    assert err.endswith("\n")
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("archwright: ")
    return lines[0].removeprefix("archwright: ")
