"""The chosen design layer by layer, as the report's tables and bars need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archwright.evaluators.hardware import LayerCost
from archwright.report.text import clean, component_words


@dataclass(frozen=True)
class LayerRow:
    """One layer: its time in computing and in waiting, its energy and its traffic."""

    name: str
    cycles: int
    compute_us: float
    stall_us: float
    utilisation: float
    dram_bytes: float
    energy_uj: Mapping[str, float]
    bound: str

    @property
    def time_us(self) -> float:
        """The layer's whole time."""
        return self.compute_us + self.stall_us

    @property
    def total_energy_uj(self) -> float:
        """The layer's energy over all components."""
        return sum(self.energy_uj.values())


def layer_row(cost: LayerCost) -> LayerRow:
    """A hardware model's layer as a row: its time is split as its cycles are."""
    stalled = cost.stall_cycles / cost.total_cycles if cost.total_cycles else 0.0
    return LayerRow(
        name=clean(cost.name, 40),
        cycles=cost.total_cycles,
        compute_us=cost.latency_us * (1.0 - stalled),
        stall_us=cost.latency_us * stalled,
        utilisation=cost.utilisation,
        dram_bytes=sum(cost.dram_bytes.values()),
        energy_uj=cost.energy_uj,
        bound=component_words(cost.bound),
    )
