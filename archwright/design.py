"""A design: a network and a hardware, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from archwright.space import Point, point_hash


@dataclass(frozen=True)
class Origin:
    """Who proposed a design, why, and from what.

    ``proposer`` names the mind and its strategy ("rules/surrogate", "model/NAME"),
    "pairing" for an evaluated network put on another hardware; ``parents`` and
    ``recalled`` are keys of designs. ``expected_gain`` is the share of the hypervolume's
    cube that the strategy expected the design to add, where it said so; the archive keeps
    it with the batch, not with the design.
    """

    proposer: str
    reason: str
    parents: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()
    expected_gain: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Design:
    """One network on one hardware. Equal when network and hardware are."""

    network: Point
    hardware: Point
    origin: Origin = field(compare=False)

    @cached_property
    def key(self) -> str:
        """The design's name in the archive: 16 hex digits over network and hardware."""
        return point_hash(self.network, self.hardware)

    @cached_property
    def network_key(self) -> str:
        """The network's name: the subject of accuracy measurements."""
        return point_hash(self.network)

    def __hash__(self) -> int:
        return hash(self.key)
