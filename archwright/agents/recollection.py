"""What a run remembers of other runs: frozen into its archive when it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archwright.space import Point


@dataclass(frozen=True)
class RecalledDesign:
    """A past design as the proposer sees it: an idea, never a measurement."""

    key: str
    run: str
    network: Point
    similarity: float


@dataclass(frozen=True)
class Recollection:
    """Designs of past runs, most similar first, and lessons that may hold here."""

    designs: tuple[RecalledDesign, ...] = ()
    lessons: tuple[str, ...] = ()

    def to_plain(self) -> list[Any]:
        """As a JSON list, for the archive."""
        return [[asdict(design) for design in self.designs], list(self.lessons)]

    @classmethod
    def from_plain(cls, plain: Sequence[Any]) -> Recollection:
        """What :meth:`to_plain` gave."""
        designs, lessons = plain
        return cls(tuple(RecalledDesign(**row) for row in designs), tuple(lessons))
