"""Hardware points as checked columns, and what follows from them alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.errors import SpaceError, shown
from archwright.evaluators.hardware import costs
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.cycles import DATAFLOWS

Integers = npt.NDArray[np.int64]

NUMBERS = (
    "rows",
    "columns",
    "input_buffer_kib",
    "weight_buffer_kib",
    "output_buffer_kib",
    "dram_gb_per_s",
    "clock_mhz",
    "bits",
)
OPTIONAL = ("node_nm", "register_file_bytes")
"""What a hardware may say beside the choices of the space: the node of the silicon, and the
register file of each processing element. Else: 45 nm; none, or for "rs" that of Eyeriss."""
TRAFFIC_CHOICES = (*NUMBERS[:5], "register_file_bytes")
"""What a layer's traffic depends on, with the dataflow."""
ALL_DATAFLOWS = (*DATAFLOWS, "rs")
SAMPLE = 1000  # rows that tell whether a column's values recur


@dataclass(frozen=True)
class HardwareColumns:
    """H hardware points: one float64 array of shape (H,) per numeric choice.

    Buffer sizes are whole buffers; half of each holds the data in use while the other
    half is being filled (double buffering).
    """

    dataflow: npt.NDArray[np.str_]
    values: Mapping[str, Floats]
    find_voltage: Callable[[], Floats] | None = None
    _size: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_size", len(self.dataflow))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, name: str) -> Floats:
        return self.values[name]

    @staticmethod
    def checked(hardware: Mapping[str, Any]) -> HardwareColumns:
        """From a mapping of choice name to a 1-D array (or one value), all of one length.

        The keys are "dataflow", ``NUMBERS`` and, if need be, those of ``OPTIONAL``.
        Raises :class:`SpaceError`: one line that names the key, the value, what is allowed.
        """
        names = ("dataflow", *NUMBERS)
        for name in hardware:
            if name not in names and name not in OPTIONAL:
                raise SpaceError(_unknown(name, (*names, *OPTIONAL)))
        for name in names:
            if name not in hardware:
                raise SpaceError(f"{name}: missing from the hardware")
        arrays = {name: np.atleast_1d(np.asarray(value)) for name, value in hardware.items()}
        size = len(arrays["rows"])
        for name, array in arrays.items():
            if array.ndim != 1 or len(array) != size:
                raise SpaceError(
                    f"{name}: shape {array.shape}; one-dimensional arrays of one length "
                    f"are needed, as rows with {size}"
                )
        flows = arrays["dataflow"].astype(str)
        known = np.any([flows == flow for flow in ALL_DATAFLOWS], axis=0)
        if not known.all():
            wrong = flows[~known][0]
            raise SpaceError(f"dataflow = {str(wrong)!r}: allowed {', '.join(ALL_DATAFLOWS)}")
        values = {name: _number(name, a) for name, a in arrays.items() if name != "dataflow"}
        values.setdefault("node_nm", np.full(size, float(costs.NODE_NM)))
        words = np.where(flows == "rs", costs.EYERISS_REGISTER_WORDS, 0.0)
        values.setdefault("register_file_bytes", words * values["bits"] / 8)
        costs.check_clock(values["clock_mhz"])
        return HardwareColumns(flows, values)

    def take(self, indices: Integers) -> HardwareColumns:
        """The points at ``indices``."""
        values = {name: array[indices] for name, array in self.values.items()}
        return HardwareColumns(self.dataflow[indices], values, lambda: self.voltage[indices])

    def repeat(self, times: Integers) -> HardwareColumns:
        """Each point as often as ``times`` says, with what a layer's traffic depends on only."""
        values = {name: np.repeat(self.values[name], times) for name in TRAFFIC_CHOICES}
        flows = np.repeat(self.dataflow, times)
        return HardwareColumns(flows, values, lambda: np.repeat(self.voltage, times))

    @cached_property
    def traffic_groups(self) -> Integers:
        """A number per point, equal only where all ``TRAFFIC_CHOICES`` and the dataflow are."""
        flows = np.zeros(len(self), dtype=np.int64)
        for number, flow in enumerate(ALL_DATAFLOWS):
            flows[self.dataflow == flow] = number
        return groups([flows, *(self.values[name] for name in TRAFFIC_CHOICES)])

    @cached_property
    def timing_groups(self) -> Integers:
        """The same for points that take equal times, too; in the order of traffic groups."""
        return groups([self.traffic_groups, self.cycles_per_byte])

    @cached_property
    def voltage(self) -> Floats:
        """Supply of array and buffers, V. Slow to find, so that parts ask the whole for theirs."""
        return self.find_voltage() if self.find_voltage else costs.voltage(self["clock_mhz"])

    @cached_property
    def cycles_per_byte(self) -> Floats:
        """Clock cycles that one byte of DRAM traffic takes (GB = 10^9 bytes)."""
        return self["clock_mhz"] / (1000.0 * self["dram_gb_per_s"])

    @cached_property
    def areas(self) -> dict[str, Floats]:
        """Area by component, mm2. The interface's pads do not shrink with the node."""
        scale = costs.by_key(costs.AREA_OF_NODE, self["node_nm"])
        element = costs.element_mm2(self["bits"], self["register_file_bytes"])
        return {
            "array": self["rows"] * self["columns"] * element * scale,
            "vector_unit": costs.vector_unit_mm2(self["columns"]) * scale,
            "input_buffer": costs.buffer_mm2(self["input_buffer_kib"]) * scale,
            "weight_buffer": costs.buffer_mm2(self["weight_buffer_kib"]) * scale,
            "output_buffer": costs.buffer_mm2(self["output_buffer_kib"]) * scale,
            "interface": self["dram_gb_per_s"] * costs.INTERFACE_MM2_PER_GB_PER_S,
        }

    @cached_property
    def area_mm2(self) -> Floats:
        """Area of the whole accelerator."""
        total: Floats = np.sum(list(self.areas.values()), axis=0)
        return total

    @cached_property
    def _uj_per_pj(self) -> Floats:
        """What turns an energy at 45 nm and the nominal voltage, pJ, into this point's, uJ."""
        scale: Floats = 1e-6 * (self.voltage / costs.NOMINAL_VOLTAGE) ** 2
        return scale * costs.by_key(costs.ENERGY_OF_NODE, self["node_nm"])

    @cached_property
    def mac_uj(self) -> Floats:
        """Energy of a multiply-accumulate."""
        return costs.by_key(costs.MAC_PJ, self["bits"]) * self._uj_per_pj

    @cached_property
    def registers_uj(self) -> Floats:
        """Energy of a cycle of the array's pipeline registers."""
        element = costs.register_bits(self["bits"]) * costs.REGISTER_BIT_CYCLE_PJ
        return self["rows"] * self["columns"] * element * self._uj_per_pj

    @cached_property
    def vector_operation_uj(self) -> Floats:
        """Energy of an operation of the vector unit."""
        return costs.VECTOR_OPERATION_PJ * self._uj_per_pj

    @cached_property
    def register_file_uj(self) -> Floats:
        """Energy of a byte read from or written to an element's register file."""
        return costs.buffer_pj_per_byte(self["register_file_bytes"] / 1024) * self._uj_per_pj

    @cached_property
    def array_uj(self) -> Floats:
        """Energy of a byte that goes from one element to another."""
        return costs.ARRAY_PJ_PER_BYTE * self._uj_per_pj

    def buffer_uj(self, buffer: str) -> Floats:
        """Energy of a byte read from or written to the "input", "weight" or "output" buffer."""
        return costs.buffer_pj_per_byte(self[f"{buffer}_buffer_kib"]) * self._uj_per_pj

    @cached_property
    def interface_mw(self) -> Floats:
        """Standby power of the DRAM and its interface."""
        return self["dram_gb_per_s"] * costs.INTERFACE_MW_PER_GB_PER_S

    @cached_property
    def leakage_mw(self) -> Floats:
        """Leakage of array and buffers."""
        return costs.leakage_mw(self.area_mm2 - self.areas["interface"], self.voltage)


def groups(columns: Sequence[npt.NDArray[Any]]) -> Integers:
    """A number per row, equal only where all ``columns`` are equal, in the columns' order.

    It serves to do work once for equal rows. Where a column has mostly distinct values (by
    a sample), which leave little to share, all rows get numbers of their own.
    """
    size = len(columns[0])
    code = np.zeros(size, dtype=np.int64)
    for column in columns:
        sample = column[:: max(1, size // SAMPLE)]
        if 2 * len(np.unique(sample)) > len(sample):
            return np.unique(code, return_inverse=True)[1] * size + np.arange(size)
        values = np.unique(column)
        if size and int(code.max() + 1) * len(values) >= 2**62:
            code = np.unique(code, return_inverse=True)[1]
        code = code * len(values) + np.searchsorted(values, column)
    return code


def _unknown(name: str, allowed: Sequence[str]) -> str:
    near = get_close_matches(name, allowed, n=1)
    meant = f"did you mean {near[0]}?" if near else f"its choices are {', '.join(allowed)}"
    return f"{name}: not a choice of the systolic space; {meant}"


def _number(name: str, array: npt.NDArray[Any]) -> Floats:
    """A numeric column as float64, or one line about its first wrong value."""
    if array.dtype.kind not in "iuf":
        raise SpaceError(f"{name} = {shown(array.tolist()[0])}: a number is needed")
    numbers = array.astype(np.float64)
    allowed = "must be a number above 0"
    good = np.isfinite(numbers) & (numbers > 0)
    if name in ("rows", "columns"):
        allowed = "must be a whole number from 1 to 65536"
        good &= (numbers == np.floor(numbers)) & (numbers <= 65536)
    elif name == "register_file_bytes":
        allowed = "must be a number from 0"
        good = np.isfinite(numbers) & (numbers >= 0)
    elif name in _TABLES:
        table, why = _TABLES[name]
        allowed = f"allowed {', '.join(map(str, sorted(table)))} ({why})"
        good &= np.isin(numbers, list(table))
    if not good.all():
        raise SpaceError(f"{name} = {array[~good][0]}: {allowed}")
    return numbers


_TABLES = {
    "bits": (costs.MAC_PJ, "those with an energy entry"),
    "node_nm": (costs.AREA_OF_NODE, "those with a scaling factor"),
}
