"""What came of each ask: kept with the run, so that its bandit goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from archwright.agents.approval import ATTEMPTS
from archwright.memory.archive import Archive


@dataclass(frozen=True)
class Advice:
    """One ask of the proposer's model: its share then, its networks, what was turned down.

    ``refusals`` maps a reason to how many proposals had it.
    """

    step: int
    attempt: int
    share: float
    networks: tuple[str, ...] = ()
    refusals: Mapping[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """How many proposals were turned down before anything was paid for."""
        return sum(self.refusals.values())


class Notebook(Protocol):
    """Keeps advice. What was kept first for a step and attempt stays."""

    def keep(self, advice: Advice) -> None:
        """Write it down."""
        ...

    def last(self, before_step: int) -> tuple[Advice, ...]:
        """All advice of the last step before this one in which a model was asked."""
        ...


class PlainNotebook:
    """Keeps advice in memory, for a search that is not resumed."""

    def __init__(self) -> None:
        self.kept: list[Advice] = []

    def keep(self, advice: Advice) -> None:
        """Write it down."""
        known = ((other.step, other.attempt) for other in self.kept)
        if (advice.step, advice.attempt) not in known:
            self.kept.append(advice)

    def last(self, before_step: int) -> tuple[Advice, ...]:
        """All advice of the last step before this one in which a model was asked."""
        earlier = [advice for advice in self.kept if advice.step < before_step]
        return tuple(a for a in earlier if a.step == earlier[-1].step)


class ArchiveNotebook:
    """Keeps advice in a run's archive."""

    def __init__(self, archive: Archive, run: str) -> None:
        self._archive, self._run = archive, run

    def keep(self, advice: Advice) -> None:
        """Write it down, before the batch itself."""
        self._archive.set_meta(self._run, _name(advice.step, advice.attempt), asdict(advice))

    def last(self, before_step: int) -> tuple[Advice, ...]:
        """All advice of the last step before this one in which a model was asked."""
        for step in range(before_step - 1, -1, -1):
            if found := self._of(step):
                return found
        return ()

    def every(self, before_step: int) -> tuple[Advice, ...]:
        """All advice of a run, in order."""
        return tuple(advice for step in range(before_step) for advice in self._of(step))

    def _of(self, step: int) -> tuple[Advice, ...]:
        found = [self._archive.meta(self._run, _name(step, k)) for k in range(ATTEMPTS)]
        return tuple(_read(table) for table in found if table)


def _name(step: int, attempt: int) -> str:
    return f"advice/{step}/{attempt}"


def _read(table: Mapping[str, Any]) -> Advice:
    return Advice(**{**table, "networks": tuple(table["networks"])})
