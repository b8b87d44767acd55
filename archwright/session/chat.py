"""What every command of a session works with: the desk, the session, the screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from archwright.design import Design
from archwright.errors import UserError
from archwright.session.store import Session
from archwright.tools.desk import Desk, Runs

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from archwright.tools.archived import ShownDesign


@runtime_checkable
class ApprovingRuns(Runs, Protocol):
    """Runs that wait for the user's word before they evaluate designs."""

    def pending(self, run: str) -> list[Design]:
        """The designs that a run waits with; none when it does not wait."""
        ...

    def decide(
        self,
        run: str,
        rejected: Mapping[str, str],
        edited: Mapping[str, Design],
        note: str = "",
    ) -> None:
        """Go on: rejected keys with reasons, edited keys with what replaces them."""
        ...


@dataclass
class Chat:
    """One open session at its terminal. ``keys`` are designs that were shown, for completion."""

    desk: Desk
    session: Session
    console: Console
    keys: list[str] = field(default_factory=list)

    def show(self, what: RenderableType) -> None:
        """Print a table or a text as it is: nothing in it is markup."""
        self.console.print(what, markup=False, highlight=False)

    def line(self, text: str) -> None:
        """Print a text of ours or of a tool's, with what could steer a terminal escaped."""
        self.console.print(plain(text), markup=False, highlight=False)

    def path(self, text: str) -> None:
        """Print a line that is not to be broken, such as the path of a file."""
        self.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def confirmed(self, question: str) -> bool:
        """Whether the user says yes. The end of the input is a no."""
        while (said := self.word(f"{question} [y/n]")) not in ("y", "n"):
            pass
        return said == "y"

    def word(self, question: str) -> str:
        """What the user says: "y", "n", or other words. The end of the input is a no."""
        self.console.file.flush()
        while True:
            try:
                said = input(f"{question} ").encode("utf-8", "replace").decode().strip()
            except EOFError:
                self.line("")
                return "n"
            if said.lower() in ("y", "yes", "n", "no"):
                return said[0].lower()
            if said:
                return said

    @property
    def run(self) -> str:
        """The session's last run. Raises :class:`UserError` where it has none."""
        if not self.session.state.runs:
            raise UserError("no run in this session yet: /search starts one")
        return self.session.state.runs[-1]

    @property
    def approvals(self) -> ApprovingRuns:
        """The runs, as far as they wait for approval."""
        if not isinstance(self.desk.runs, ApprovingRuns):
            raise UserError("these runs do not wait for approval")
        return self.desk.runs

    def design(self, key: str | None) -> ShownDesign:
        """A design of the last run, by the beginning of its key; None: the front's first."""
        from archwright.tools.fronts import explain_design, front

        if key is not None:
            return explain_design.call({"run": self.run, "design": key}, self.desk).design
        found = front.call({"run": self.run, "designs": 1}, self.desk).designs
        if not found:
            raise UserError(f"run {self.run}: no design on its front yet")
        return found[0]

    def remember(self, keys: list[str]) -> None:
        """Keep the keys of designs that were shown, for completion."""
        self.keys = list(dict.fromkeys([*keys, *self.keys]))[:200]

    def begin(self, brief: dict[str, Any], hours: float | None, desk: Desk) -> str:
        """Start a search and record its run, also through a kill between the two."""
        from archwright.tools.searches import start_search

        self.session.add("starting", name=brief.get("name", ""))
        try:
            run = start_search.call({"brief": brief, "hours": hours}, desk).run
        except BaseException:  # Ctrl-C too: the run may be there already
            self.adopt()
            raise
        self.session.add("run", run=run)
        return run

    def adopt(self) -> None:
        """Take in the run that a search had started when it was interrupted or killed."""
        starting = self.session.state.starting
        if starting is None:
            return
        since = datetime.fromisoformat(starting["time"])
        for entry in self.desk.registry.list():
            same = entry.name == starting["name"] and entry.run not in self.session.state.runs
            if same and datetime.fromisoformat(entry.created) >= since:
                self.session.add("run", run=entry.run)
                self.line(f"run {entry.run} had just started: this session goes on with it")
                return
        self.session.add("not started")


def plain(text: str) -> str:
    """``text`` with its line breaks, without anything else that could steer a terminal."""
    return "".join(c for c in text if c.isprintable() or c == "\n")
