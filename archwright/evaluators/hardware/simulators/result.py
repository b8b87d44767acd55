"""What every way of judging a workload on a hardware gives back, and what it promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from archwright.measurement import Fidelity
from archwright.space import Point
from archwright.workload import Workload


@dataclass(frozen=True)
class LayerResult:
    """One layer for the workload's whole batch; None where the source does not say.

    ``cycles`` are without the ``stall_cycles``; ``utilisation`` is the share, from 0 to 1,
    of the array's multiply-accumulates that the layer used over both.
    """

    name: str
    macs: int
    cycles: float | None = None
    stall_cycles: float | None = None
    utilisation: float | None = None
    dram_bytes: float | None = None
    energy_uj: float | None = None
    latency_us: float | None = None
    bound: str | None = None


@dataclass(frozen=True)
class HardwareResult:
    """A workload on a hardware as ``source`` sees it, for the workload's whole batch.

    ``totals`` maps a metric (``latency_ms``, ``energy_uj``, ``cycles`` ...) to its value,
    with what the source knows only; ``intervals`` gives the 95% interval (low, high) of
    those that are not exact. ``seconds`` is how long it took, ``notes`` say what is not
    covered, each in one line.
    """

    source: str
    fidelity: Fidelity
    totals: Mapping[str, float]
    layers: tuple[LayerResult, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Simulator(Protocol):
    """A way of judging a workload on a hardware.

    ``settings`` are the options that its values depend on, by name. Making one imports
    nothing heavy and looks for nothing.
    """

    @property
    def name(self) -> str:
        """The word that a user chooses it by."""
        ...

    @property
    def fidelity(self) -> Fidelity:
        """What kind of number it gives."""
        ...

    @property
    def version(self) -> str:
        """Of the simulator and of what translates to it; "absent" where it is missing."""
        ...

    @property
    def settings(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that the values depend on."""
        ...

    def missing(self) -> str | None:
        """None when it can run, else one line that ends with the command that installs it."""
        ...

    def simulate(self, workload: Workload, hardware: Point) -> HardwareResult:
        """Judge ``workload`` on ``hardware``.

        Raises :class:`MeasurementFailed` with the reason, one line: it is not installed,
        it cannot express the pair, it failed, or it took too long (the layer is named).
        :class:`SpaceError` for a hardware that is none.
        """
        ...


def totals_of(layers: Sequence[LayerResult], hardware: Point) -> dict[str, float]:
    """The layers' sums, of what every layer with multiply-accumulates has.

    ``cycles`` are without stalls, ``utilisation`` is that of the array over all of them.
    """
    measured = [layer for layer in layers if layer.macs]
    totals: dict[str, float] = {"macs": float(sum(layer.macs for layer in measured))}
    for name in ("cycles", "stall_cycles", "dram_bytes", "energy_uj"):
        values = [getattr(layer, name) for layer in measured]
        if values and None not in values:
            totals[name] = float(sum(values))
    if "cycles" in totals:
        busy = totals["cycles"] + totals.get("stall_cycles", 0.0)
        peak = int(hardware["rows"]) * int(hardware["columns"])
        totals["latency_ms"] = busy / float(hardware["clock_mhz"]) / 1e3
        totals["utilisation"] = totals["macs"] / (peak * busy)
    return totals


ALONE = "each layer alone: its inputs come from DRAM and its outputs go there"
"""The note of a simulator that takes layers one by one."""


def not_covered(workload: Workload) -> tuple[str, ...]:
    """The note of a simulator that knows arrays only, for a workload that is more than that."""
    left_out = [layer.kind.value for layer in workload.layers if not layer.on_array]
    if not left_out:
        return ()
    kinds = ", ".join(sorted(set(left_out)))
    return (f"{len(left_out)} of {len(workload.layers)} layers not covered ({kinds})",)
