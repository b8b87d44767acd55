"""From cycles and bytes to metrics: time, energy, area, and what cannot run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware import costs
from archwright.evaluators.hardware.columns import HardwareColumns, Integers
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.dataflows import too_small
from archwright.evaluators.hardware.demand import Demand
from archwright.evaluators.hardware.layers import LayerRows

TYPES = ("inputs", "weights", "outputs")
BUFFERS = ("input", "weight", "output")
Bound = Literal["compute", "dram", "fill/drain", "vector unit"]
BOUNDS: tuple[Bound, ...] = get_args(Bound)
ENERGIES = (
    *("mac", "registers", "register_file", "array", "vector_unit"),
    *("input_buffer", "weight_buffer", "output_buffer", "dram", "interface", "leakage"),
)
AREAS = ("array", "vector_unit", "input_buffer", "weight_buffer", "output_buffer", "interface")

TOTALS = (
    "latency_ms",
    "energy_uj",
    "area_mm2",
    "power_mw",
    "cycles",
    "stall_cycles",
    "utilisation",
    "dram_bytes",
    "macs",
    "parameters",
    "memory_kib",
)
"""What ``evaluate`` gives unless asked for more; ``cycles`` are without stalls."""

OUTPUTS = (
    *TOTALS,
    *(f"dram_bytes.{name}" for name in TYPES),
    *(f"buffer_bytes.{name}" for name in TYPES),
    *(f"register_bytes.{name}" for name in TYPES),
    "array_bytes",
    *(f"energy_uj.{name}" for name in ENERGIES),
    *(f"area_mm2.{name}" for name in AREAS),
    *(f"peak_bytes.{name}_buffer" for name in BUFFERS),
    *(f"bound_cycles.{name}" for name in BOUNDS),
)
"""All that ``evaluate`` can give: the totals, and their parts by type and component.

``peak_bytes`` is what a buffer must hold for its most demanding layer, both halves;
``bound_cycles`` is the time of the layers that each resource bounds.
"""


class Timing:
    """Cycles of layers with stalls: compute after the first fill, or the DRAM, whichever
    ends last. ``at`` picks the hardware (last axis of ``asked``) of each ``cycles_per_byte``.
    """

    def __init__(
        self,
        layers: LayerRows,
        asked: Demand,
        cycles_per_byte: Floats,
        at: Integers | None = None,
    ) -> None:
        self._on_array = layers.on_array
        self._folding = _picked(asked.folding, at)
        self._fill = np.ceil(_picked(asked.first_fill, at) * cycles_per_byte)
        self._filled = self._fill + _picked(asked.cycles, at)
        self._dram = np.ceil(_picked(asked.dram, at) * cycles_per_byte)
        self.total_cycles: Floats = np.maximum(self._filled, self._dram)

    @cached_property
    def bounds(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Where each of ``BOUNDS`` takes most of a layer's time; one of them does."""
        on_dram = self._dram > self._filled
        on_chip = ~on_dram & self._on_array
        filling = on_chip & (2 * (self._fill + self._folding) > self._filled)
        masks = (on_chip & ~filling, on_dram, filling, ~on_dram & ~self._on_array)
        return dict(zip(BOUNDS, masks, strict=True))

    def quantity(self, name: str) -> Floats:
        """ "total_cycles", or "bound_cycles." and a bound: those where it bounds, else 0."""
        if name == "total_cycles":
            return self.total_cycles
        return self.total_cycles * self.bounds[name.removeprefix("bound_cycles.")]


def _picked(quantity: Floats, at: Integers | None) -> Floats:
    return quantity if at is None else quantity[..., at]


class Costs:
    """The metrics of layers, or of pairs of a network and a hardware, each made on demand.

    ``of`` gives what layers ask, by the name of a field of :class:`LayerRows` or
    :class:`Demand`, "total_cycles", or "bound_cycles." and a bound; for networks summed
    over their layers (the largest for "peak_", "activations" and "bytes"). It is called once
    for each.
    """

    def __init__(self, points: HardwareColumns, of: Callable[[str], Floats]) -> None:
        self._points, self._of = points, of
        self._known: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        if name not in self._known:
            self._known[name] = self._of(name)
        return self._known[name]

    def metric(self, name: str) -> Floats:
        """One of ``OUTPUTS``, also for pairs that cannot run."""
        family, _, part = name.partition(".")
        match family:
            case "latency_ms" | "energy_uj" | "power_mw" | "utilisation" | "memory_kib" if not part:
                value: Floats = getattr(self, family)
                return value
            case "area_mm2":
                return self._points.areas[part] if part else self._points.area_mm2
            case "energy_uj":
                return self.energy(part)
            case "stall_cycles":
                return self["total_cycles"] - self["cycles"]
            case "peak_bytes":
                return 2 * self[f"peak_{part.removesuffix('_buffer')}s"]
            case "dram_bytes" if not part:
                return self["dram_inputs"] + self["dram_weights"] + self["dram_outputs"]
            case "dram_bytes" | "buffer_bytes" | "register_bytes":
                return self[f"{family.removesuffix('_bytes')}_{part}"]
        return self[name]

    @cached_property
    def cannot_run(self) -> npt.NDArray[np.bool_]:
        """Which pairs cannot run: narrow hardware, or a buffer below one vector."""
        bits = 8 * self["bytes"]
        unable = bits > self._points["bits"]
        for small in too_small(self._points, bits).values():
            unable = unable | small
        return np.asarray(unable)

    @cached_property
    def latency_ms(self) -> Floats:
        """Time from the first byte to the last."""
        latency: Floats = self["total_cycles"] / (self._points["clock_mhz"] * 1e3)
        return latency

    @cached_property
    def energy_uj(self) -> Floats:
        """The sum of all components."""
        total = self.energy(ENERGIES[0])
        for component in ENERGIES[1:]:
            total = total + self.energy(component)
        return total

    @property
    def power_mw(self) -> Floats:
        """Mean power (uJ / ms)."""
        return self.energy_uj / self.latency_ms

    @property
    def utilisation(self) -> Floats:
        """Share of the array's multiply-accumulates that were used, over all cycles."""
        peak = self._points["rows"] * self._points["columns"]
        return self["macs"] / (peak * self["total_cycles"])

    @property
    def memory_kib(self) -> Floats:
        """Weights plus the largest layer's activations, each at their bits."""
        return (self["parameter_bytes"] + self["activations"] * self["bytes"]) / 1024

    def energy(self, component: str) -> Floats:
        """Energy of one of ``ENERGIES``, uJ (mW x ms is uJ)."""
        points = self._points
        match component:
            case "dram":
                return self.metric("dram_bytes") * (costs.DRAM_PJ_PER_BYTE * 1e-6)
            case "interface":
                return self.latency_ms * points.interface_mw
            case "leakage":
                return self.latency_ms * points.leakage_mw
            case "mac":
                return self["macs"] * points.mac_uj
            case "registers":
                return self["cycles"] * points.registers_uj
            case "vector_unit":
                return self["vector_operations"] * points.vector_operation_uj
            case "register_file":
                accessed = self["register_inputs"] + self["register_weights"]
                return (accessed + self["register_outputs"]) * points.register_file_uj
            case "array":
                return self["array_bytes"] * points.array_uj
        buffer = component.removesuffix("_buffer")
        return self[f"buffer_{buffer}s"] * points.buffer_uj(buffer)
