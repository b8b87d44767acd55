"""Instruments: they measure designs and know nothing of searches.

Every instrument follows :class:`Evaluator`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from archwright.design import Design
from archwright.measurement import Fidelity, Outcome


class Evaluator(Protocol):
    """An instrument. ``context`` hashes all that its values depend on beside the subject.

    ``measure`` takes a batch and returns one outcome per design, in order; a design
    that cannot be measured gives an outcome with a failure, never an exception.
    """

    name: str
    version: str
    fidelity: Fidelity

    @property
    def context(self) -> str:
        """Hash over data and split, checkpoint, settings and seed."""
        ...

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        """Measure each design; same length and order as ``designs``."""
        ...
