"""Hardware points as checked columns, and what follows from them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.errors import SpaceError
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
TRAFFIC_CHOICES = NUMBERS[:5]
"""What a layer's traffic depends on, with the dataflow."""


@dataclass(frozen=True)
class HardwareColumns:
    """H hardware points: one float64 array of shape (H,) per numeric choice.

    Buffer sizes are whole buffers; half of each holds the data in use while the other
    half is being filled (double buffering).
    """

    dataflow: npt.NDArray[np.str_]
    values: Mapping[str, Floats]
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

        Raises :class:`SpaceError`: one line that names the key, the value, what is allowed.
        """
        names = ("dataflow", *NUMBERS)
        for name in hardware:
            if name not in names:
                raise SpaceError(
                    f"{name}: not a choice of the systolic space; its choices are "
                    f"{', '.join(names)}"
                )
        for name in names:
            if name not in hardware:
                raise SpaceError(f"{name}: missing from the hardware")
        arrays = {name: np.atleast_1d(np.asarray(hardware[name])) for name in names}
        size = len(arrays["rows"])
        for name, array in arrays.items():
            if array.ndim != 1 or len(array) != size:
                raise SpaceError(
                    f"{name}: shape {array.shape}; one-dimensional arrays of one length "
                    f"are needed, as rows with {size}"
                )
        flows = arrays["dataflow"].astype(str)
        unknown = sorted(set(np.unique(flows).tolist()) - set(DATAFLOWS))
        if unknown:
            raise SpaceError(f"dataflow = {unknown[0]!r}: allowed {', '.join(DATAFLOWS)}")
        return HardwareColumns(flows, {name: _number(name, arrays[name]) for name in NUMBERS})

    def take(self, indices: Integers) -> HardwareColumns:
        """The points at ``indices``."""
        values = {name: array[indices] for name, array in self.values.items()}
        return HardwareColumns(self.dataflow[indices], values)

    def groups(self, names: Sequence[str]) -> Integers:
        """A number per point, equal where all of ``names`` and the dataflow are equal."""
        code = np.unique(self.dataflow, return_inverse=True)[1].astype(np.int64)
        for name in names:
            distinct, index = np.unique(self.values[name], return_inverse=True)
            code = np.unique(code * len(distinct) + index, return_inverse=True)[1]
        return code

    @cached_property
    def voltage(self) -> Floats:
        """Supply of array and buffers, V."""
        return costs.voltage(self["clock_mhz"])

    @cached_property
    def cycles_per_byte(self) -> Floats:
        """Clock cycles that one byte of DRAM traffic takes (GB = 10^9 bytes)."""
        return self["clock_mhz"] / (1000.0 * self["dram_gb_per_s"])

    @cached_property
    def areas(self) -> dict[str, Floats]:
        """Area by component, mm2."""
        return {
            "array": costs.array_mm2(self["rows"], self["columns"], self["bits"]),
            "vector_unit": costs.vector_unit_mm2(self["columns"]),
            "input_buffer": costs.buffer_mm2(self["input_buffer_kib"]),
            "weight_buffer": costs.buffer_mm2(self["weight_buffer_kib"]),
            "output_buffer": costs.buffer_mm2(self["output_buffer_kib"]),
            "interface": self["dram_gb_per_s"] * costs.INTERFACE_MM2_PER_GB_PER_S,
        }

    @cached_property
    def area_mm2(self) -> Floats:
        """Area of the whole accelerator."""
        total: Floats = np.sum(list(self.areas.values()), axis=0)
        return total

    def too_small(self, bits: Floats | float) -> dict[str, npt.NDArray[np.bool_]]:
        """Which buffers cannot hold, in one half, one vector of ``bits`` for the array.

        That is one operand for each row or column, whichever are more; for the outputs
        one partial sum for each column.
        """
        operands = np.maximum(self["rows"], self["columns"]) * bits / 8
        sums = self["columns"] * costs.ACCUMULATOR_BYTES
        return {
            "input_buffer_kib": self["input_buffer_kib"] * 512 < operands,
            "weight_buffer_kib": self["weight_buffer_kib"] * 512 < operands,
            "output_buffer_kib": self["output_buffer_kib"] * 512 < sums,
        }


def _number(name: str, array: npt.NDArray[Any]) -> Floats:
    """A numeric column as float64, or one line about its first wrong value."""
    if array.dtype.kind not in "iuf":
        raise SpaceError(f"{name} = {array.flat[0]!s}: a number is needed")
    numbers = array.astype(np.float64)
    allowed = "must be a number above 0"
    good = np.isfinite(numbers) & (numbers > 0)
    if name in ("rows", "columns"):
        allowed = "must be a whole number from 1 to 65536"
        good &= (numbers == np.floor(numbers)) & (numbers <= 65536)
    if name == "bits":
        allowed = f"allowed {', '.join(map(str, costs.MAC_PJ))} (those with an energy entry)"
        good &= np.isin(numbers, list(costs.MAC_PJ))
    if not good.all():
        raise SpaceError(f"{name} = {array[~good][0]}: {allowed}")
    return numbers
