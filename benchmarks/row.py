"""One line of the table: what was asked for and what was reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """``asked`` and ``reached`` as they are to be read; ``met`` is None where nothing is asked."""

    what: str
    asked: str
    reached: str
    met: bool | None
