"""A session driven as a user drives it: through a pseudo-terminal of 80 columns."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 240
PROMPT = "archwright> "
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A session in a pseudo-terminal."""

    def __init__(self, session: str | None = None, folder: Path | None = None) -> None:
        pexpect = pytest.importorskip("pexpect", reason="pexpect is not installed")
        options = [] if session is None else ["--session", session]
        self.process: Any = pexpect.spawn(
            sys.executable,
            ["-m", "archwright", "chat", *options],
            dimensions=(40, 80),
            encoding="utf-8",
            timeout=PATIENCE_S,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"},
        )
        self.welcome = self.until(PROMPT)

    def until(self, text: str) -> str:
        """What is shown up to ``text``, without what only steers the terminal."""
        self.process.expect_exact(text)
        return _STEERING.sub("", self.process.before)

    def send(self, line: str) -> None:
        """Type a line."""
        self.process.sendline(line)

    def does(self, line: str) -> str:
        """Type a line and wait for the next prompt; what was shown between them."""
        self.send(line)
        return self.until(PROMPT).partition("\n")[2]

    @property
    def session(self) -> str:
        """The session's id."""
        found = re.search(r"session (\S+);", self.welcome)
        assert found is not None, self.welcome
        return found[1]

    def kill(self) -> None:
        """kill -9."""
        import signal

        self.process.kill(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """``open_terminal(session=None, folder=None)``; closed when the test ends."""
    opened: list[Terminal] = []

    def start(session: str | None = None, folder: Path | None = None) -> Terminal:
        opened.append(Terminal(session, folder))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.process.close(force=True)
