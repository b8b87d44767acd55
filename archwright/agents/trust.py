"""How far a role's model is heard: who is overruled again and again rests for some rounds.

A word that the rules overrule costs nothing but the asking, and says that the model does
not know its part: a planner that wants to stop at once, a critic to whom everything is
wrong. After :data:`PATIENCE` such words in a row the rules go on alone, and every
:data:`REST` rounds one word is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from archwright.memory.archive import Archive

PATIENCE = 3
REST = 10


class Trust(Protocol):
    """Keeps whether words were overruled, and says when a model rests."""

    def heard(self, role: str, step: int, overruled: bool) -> None:
        """Keep how a role's word in a step went; the first word stays."""
        ...

    def rests(self, role: str, step: int) -> bool:
        """Whether a role's model is not asked in this step."""
        ...

    def overruled(self, role: str, step: int, back: int) -> list[bool]:
        """Whether each of a role's last ``back`` words before this step was overruled."""
        ...


class PlainTrust:
    """Trust in memory: the rule itself, over words kept in a dictionary."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, int], bool | None] = {}

    def heard(self, role: str, step: int, overruled: bool) -> None:
        """Keep how a role's word in a step went; the first word stays."""
        if self._word(role, step) is None:
            self._words[role, step] = overruled

    def rests(self, role: str, step: int) -> bool:
        """Whether the last words, :data:`PATIENCE` of them, were overruled, the last just now."""
        last: list[int] = []
        for earlier, overruled in self._before(role, step):
            if not overruled:
                return False
            last.append(earlier)
            if len(last) == PATIENCE:
                return step - last[0] < REST
        return False

    def overruled(self, role: str, step: int, back: int) -> list[bool]:
        """Whether each of a role's last ``back`` words before this step was overruled."""
        return [word for _, word in islice(self._before(role, step), back)]

    def _before(self, role: str, step: int) -> Iterator[tuple[int, bool]]:
        """A role's words of earlier steps, the last first."""
        for earlier in range(step - 1, -1, -1):
            overruled = self._word(role, earlier)
            if overruled is not None:
                yield earlier, overruled

    def _word(self, role: str, step: int) -> bool | None:
        return self._words.get((role, step))


class ArchiveTrust(PlainTrust):
    """Trust that a run's archive keeps, so that a resumed run goes on with it."""

    def __init__(self, archive: Archive, run: str) -> None:
        super().__init__()
        self._archive, self._run = archive, run

    def heard(self, role: str, step: int, overruled: bool) -> None:
        """Keep how a role's word in a step went; the first word stays."""
        super().heard(role, step, self._archive.set_meta(self._run, _name(role, step), overruled))

    def _word(self, role: str, step: int) -> bool | None:
        """From memory, which knows of silence, too: only :meth:`heard` can end it."""
        if (role, step) not in self._words:
            self._words[role, step] = self._archive.meta(self._run, _name(role, step))
        return self._words[role, step]


def _name(role: str, step: int) -> str:
    return f"word/{role}/{step}"
