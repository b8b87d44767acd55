"""What a terminal shows while a run works: a live table, or plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from archwright.errors import printable
from archwright.events import Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PLAIN_LINE_SECONDS = 5.0
"""Without a live terminal, progress within one phase is printed at most this often."""


class Progress:
    """Listens to events, as a context manager around a run. This one shows nothing."""

    def __call__(self, event: Event) -> None:
        """Take one event in."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unwinding: object) -> None:
        """Leave the screen in order."""


@dataclass
class Board:
    """The numbers on show, updated by events."""

    run: str = ""
    part: str = "starting"
    detail: str = ""
    evaluated: int = 0
    evaluations: int = 0
    rejected: int = 0
    failed: int = 0
    best: str = "-"
    hypervolume: float = 0.0
    began: float = field(default_factory=time.monotonic)
    seconds_left: float | None = None

    def take(self, event: Event) -> None:
        """Update from one event. A new part begins without the last one's detail and time."""
        data = event.data
        if event.kind == "part":
            self.detail, self.seconds_left = "", None
        for name in ("run", "part", "detail", "best"):
            if name in data:
                setattr(self, name, printable(str(data[name])))
        for name in ("evaluated", "evaluations", "rejected", "failed"):
            if name in data:
                setattr(self, name, int(data[name] or 0))
        if "hypervolume" in data:
            self.hypervolume = float(data["hypervolume"] or 0.0)
        if "seconds_left" in data:
            left = data["seconds_left"]
            self.seconds_left = None if left is None else float(left)

    def take_row(self, row: Mapping[str, Any]) -> None:
        """Update from a row of an event log."""
        self.take(Event(str(row["kind"]), int(row["step"]), str(row["label"]), row))

    @property
    def phase(self) -> str:
        """The part of the run, and what it is at."""
        return f"{self.part}: {self.detail}" if self.detail else self.part

    @property
    def elapsed(self) -> str:
        """The time since this process began to work on the run."""
        return clock(time.monotonic() - self.began)

    @property
    def left(self) -> str:
        """The time left, where it is known."""
        return "-" if self.seconds_left is None else clock(self.seconds_left)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Name and value of what is shown, in order."""
        return [
            ("run", self.run),
            ("phase", self.phase),
            ("designs evaluated", f"{self.evaluated} of {self.evaluations}"),
            ("rejected / failed", f"{self.rejected} / {self.failed}"),
            ("best so far", self.best),
            ("hypervolume", f"{self.hypervolume:.4f}"),
            ("time / left", f"{self.elapsed} / {self.left}"),
        ]

    @property
    def line(self) -> str:
        """All of it as one paragraph."""
        return (
            f"[{self.elapsed}] {self.phase} | {self.evaluated}/{self.evaluations} evaluated, "
            f"{self.rejected} rejected, {self.failed} failed | hypervolume "
            f"{self.hypervolume:.4f} | best: {self.best} | left: {self.left}"
        )


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _decision(event: Event) -> str:
    """A role's decision as a line; a model may have written the reason."""
    role, mind, decision, reason = (
        printable(str(event.data.get(name, "-"))) for name in ("role", "mind", "decision", "reason")
    )
    return f"{role} ({mind}): {decision}: {reason}"


class LiveProgress(Progress):
    """A table that redraws itself, on standard error; decisions stay above it as lines."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._board = Board()
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=4)

    def __call__(self, event: Event) -> None:
        """Update what the table shows; it is redrawn soon."""
        self._board.take(event)
        if event.kind == "decision":
            self._live.console.print(_decision(event), style="dim", markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *unwinding: object) -> None:
        """Leave the last state on the screen."""
        self._live.stop()

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in self._board.rows:
            table.add_row(Text(name, style="bold"), Text(value))
        return table


class PlainProgress(Progress):
    """A line when the phase changes, and now and then; for logs, pipes and CI."""

    def __init__(self, console: Console) -> None:
        self._board = Board()
        self._console = console
        self._printed = float("-inf")

    def __call__(self, event: Event) -> None:
        """Print when the phase changed, a role decided, or some seconds have passed."""
        part = self._board.part
        self._board.take(event)
        if event.kind == "decision":
            self._print(_decision(event))
        now = time.monotonic()
        if self._board.part != part or now - self._printed >= PLAIN_LINE_SECONDS:
            self._printed = now
            self._print(self._board.line)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)


def progress_for_terminal() -> Progress:
    """The live table where standard error is a terminal that can redraw, else plain lines."""
    from rich.console import Console

    console = Console(stderr=True)
    live = console.is_terminal and not console.is_dumb_terminal
    return LiveProgress(console) if live else PlainProgress(console)
