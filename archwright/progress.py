"""What a terminal shows while a run works: a live table, or plain lines where there is none."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from archwright.events import Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PLAIN_LINE_SECONDS = 5.0
"""Without a live terminal, repeated progress is printed at most this often."""


class Progress(Protocol):
    """Shows events. Used as a context manager around a run."""

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        ...

    def __enter__(self) -> Progress:
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the screen in order."""
        ...


@dataclass
class _Board:
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
        """Update from one event."""
        data = event.data
        for name in ("run", "part", "detail", "best"):
            if name in data:
                setattr(self, name, str(data[name]))
        for name in ("evaluated", "evaluations", "rejected", "failed"):
            if name in data:
                setattr(self, name, int(data[name] or 0))
        if "hypervolume" in data:
            self.hypervolume = float(data["hypervolume"] or 0.0)
        if "seconds_left" in data:
            left = data["seconds_left"]
            self.seconds_left = None if left is None else float(left)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Name and value of what is shown, in order."""
        left = "-" if self.seconds_left is None else clock(self.seconds_left)
        return [
            ("phase", f"{self.part}{': ' + self.detail if self.detail else ''}"),
            ("designs evaluated", f"{self.evaluated} of {self.evaluations}"),
            ("rejected / failed", f"{self.rejected} / {self.failed}"),
            ("best so far", self.best),
            ("hypervolume", f"{self.hypervolume:.4f}"),
            ("time / left", f"{clock(time.monotonic() - self.began)} / {left}"),
        ]

    @property
    def line(self) -> str:
        """All of it in one line."""
        left = "" if self.seconds_left is None else f", {clock(self.seconds_left)} left"
        return (
            f"[{clock(time.monotonic() - self.began)}] {self.part}"
            f"{': ' + self.detail if self.detail else ''} | {self.evaluated}/{self.evaluations} "
            f"evaluated, {self.rejected} rejected, {self.failed} failed | "
            f"hypervolume {self.hypervolume:.4f} | best {self.best}{left}"
        )


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class LiveProgress:
    """A table that redraws itself, on standard error."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._board = _Board()
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=4)
        self._console = console

    def __call__(self, event: Event) -> None:
        """Update the table; decisions stay above it as lines."""
        self._board.take(event)
        if event.kind in ("phase", "fallback", "stopped"):
            self._live.console.print(f"  {event.data.get('reason', '')}", style="dim", markup=False)

    def __enter__(self) -> LiveProgress:
        """Draw the table."""
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        self._live.__exit__(kind, error, trace)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"run {self._board.run}", title_justify="left", show_header=False)
        for name, value in self._board.rows:
            table.add_row(Text(name, style="bold"), Text(value))
        return table


class PlainProgress:
    """One line now and then, on standard error; for logs, pipes and CI."""

    def __init__(self, console: Console) -> None:
        self._board = _Board()
        self._console = console
        self._printed = float("-inf")

    def __call__(self, event: Event) -> None:
        """Print the line when something changed that matters, or after some seconds."""
        self._board.take(event)
        now = time.monotonic()
        if event.kind in ("phase", "round", "part", "fallback") or (
            now - self._printed >= PLAIN_LINE_SECONDS
        ):
            self._printed = now
            self._console.print(self._board.line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> PlainProgress:
        """Nothing to prepare."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to tidy."""


def progress_for_terminal() -> Progress:
    """The live table where standard error is a terminal, else plain lines."""
    from rich.console import Console

    console = Console(stderr=True)
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)
