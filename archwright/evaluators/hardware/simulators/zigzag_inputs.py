"""A hardware as ZigZag's accelerator, and the dataflow as its mapping of a layer.

The accelerator has the analytical model's memories and energies (see ``costs``): a word of
each operand (row-stationary: a register file) in every processing element, a
double-buffered memory for each operand, one DRAM interface. A buffer moves one word for
each row or column in a cycle, whichever are more. A layer's spatial mapping is the
dataflow's, with the fewest folds that unrolling whole loops allows; ZigZag is left to
choose the order of the loops in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, prod
from typing import Any

from archwright.evaluators.hardware import costs
from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.row_mapping import (
    INPUT_SHARE,
    SUM_BYTES,
    SUM_SHARE,
    WEIGHT_SHARE,
)
from archwright.space import Point

WINDOW = ("C", "FX", "FY")
PIXELS = ("OX", "OY", "D", "B")
FILTERS = ("K",)
UNROLLED = {
    "os": (PIXELS, FILTERS),
    "ws": (WINDOW, FILTERS),
    "is": (WINDOW, PIXELS),
    "rs": (("FY", "C", "G", "H"), ("OY", "D", "K")),
}
"""Which loops lie along the rows and along the columns, by dataflow. Row-stationary: a set
of window rows by output rows, and beside it sets of other channels, groups and filters."""

DRAM_BITS = 8 * 10**12
"""Capacity of the DRAM: more than any network asks for."""


def accelerator(hardware: Point) -> dict[str, Any]:
    """ZigZag's description of a hardware point; bits, pJ, bits per cycle.

    Raises :class:`SpaceError` for a hardware that is none.
    """
    points = HardwareColumns.checked(hardware)
    rows, columns = int(points["rows"][0]), int(points["columns"][0])
    bits, sums = int(points["bits"][0]), sum_bits(hardware)
    lanes = max(rows, columns)
    systolic = str(points.dataflow[0]) != "rs"  # row-stationary arrays use buffers whole

    def buffer(operand: str, name: str, width: int) -> dict[str, Any]:
        """A memory beside the array; its energy is paid by the byte."""
        wide = lanes * width
        cost = _pj(points.buffer_uj(name)) * wide / 8
        size = int(points[f"{name}_buffer_kib"][0] * 8192)
        memory = _memory(operand, size, (8, wide), (cost, cost), everywhere=False)
        return {**memory, "force_double_buffering": systolic}

    return {
        "name": "archwright",
        "memories": {
            **(_registers(points, bits, sums) if systolic else _register_files(points, bits, sums)),
            "input_buffer": buffer("I1", "input", bits),
            "weight_buffer": buffer("I2", "weight", bits),
            "output_buffer": buffer("O", "output", sums),
            "dram": _dram(max(1, round(dram_bits_per_cycle(points)))),
        },
        "operational_array": {
            "unit_energy": _plain(_pj(points.mac_uj)),
            "unit_area": 0.0,
            "dimensions": ["D1", "D2"],
            "sizes": [rows, columns],
            "systolic_dimensions": ["D1", "D2"] if systolic else [],
        },
    }


def sum_bits(hardware: Point) -> int:
    """Bits of a partial sum on its way."""
    return 8 * (SUM_BYTES if hardware["dataflow"] == "rs" else costs.ACCUMULATOR_BYTES)


def _registers(points: HardwareColumns, bits: int, sums: int) -> dict[str, dict[str, Any]]:
    """A word of each operand in every element: clocked, so paid for, when it is written."""
    elements = float(points["rows"][0] * points["columns"][0])
    bit = _pj(points.registers_uj) / elements / float(costs.register_bits(points["bits"])[0])
    return {
        name: _memory(operand, width, (width, width), (0.0, width * bit), everywhere=True)
        for name, operand, width in (
            ("input_register", "I1", bits),
            ("weight_register", "I2", bits),
            ("sum_register", "O", sums),
        )
    }


def _register_files(points: HardwareColumns, bits: int, sums: int) -> dict[str, dict[str, Any]]:
    """The register file of every element, divided among the operands; paid by the byte."""
    byte = _pj(points.register_file_uj)
    files = {}
    for name, operand, width, share in (
        ("input_file", "I1", bits, INPUT_SHARE),
        ("weight_file", "I2", bits, WEIGHT_SHARE),
        ("sum_file", "O", sums, SUM_SHARE),
    ):
        words = max(1, int(float(points["register_file_bytes"][0]) * share * 8 / width))
        energy = byte * width / 8
        sizes = (width, width)
        files[name] = _memory(operand, words * width, sizes, (energy, energy), everywhere=True)
    return files


def dram_bits_per_cycle(points: HardwareColumns) -> float:
    """Bits that the DRAM moves in a clock cycle; ZigZag takes whole ones only."""
    return 8 / float(points.cycles_per_byte[0])


def mapping(loops: Mapping[str, int], hardware: Point) -> list[dict[str, Any]]:
    """ZigZag's mapping for a layer with these loop sizes: what is unrolled on the array."""
    along_rows, along_columns = UNROLLED[str(hardware["dataflow"])]
    sides = (
        ("D1", along_rows, int(hardware["rows"])),
        ("D2", along_columns, int(hardware["columns"])),
    )
    spatial = {}
    for dimension, names, lanes in sides:
        factors = unrolling({name: loops[name] for name in names if name in loops}, lanes)
        spatial[dimension] = [f"{name}, {factor}" for name, factor in factors.items()]
    links = {"O": "O", "W": "I2", "I": "I1"}
    return [{"name": "default", "spatial_mapping": spatial, "memory_operand_links": links}]


def unrolling(loops: Mapping[str, int], lanes: int) -> dict[str, int]:
    """How far to unroll each loop over ``lanes``: the fewest folds; then the fewest lanes.

    Of equal ones the one that unrolls earlier loops further.
    """
    names = list(loops)
    candidates = [
        (prod(ceil(loops[n] / f) for n, f in zip(names, factors, strict=True)), factors)
        for factors in _factors([loops[name] for name in names], lanes)
    ]
    _, best = min(candidates, key=lambda c: (c[0], prod(c[1]), [-factor for factor in c[1]]))
    return dict(zip(names, best, strict=True))


def _factors(sizes: Sequence[int], lanes: int) -> list[tuple[int, ...]]:
    """Every choice of factors whose product fits the lanes; the last as large as it can be."""
    if not sizes:
        return [()]
    first, *others = sizes
    if not others:
        return [(min(first, lanes),)]
    return [
        (factor, *rest)
        for factor in range(1, min(first, lanes) + 1)
        for rest in _factors(others, lanes // factor)
    ]


def _memory(
    operand: str,
    size: int,
    widths: tuple[int, int],
    energies: tuple[float, float],
    everywhere: bool,
) -> dict[str, Any]:
    """A memory of one operand, with a port for each direction in which data goes.

    ``widths``: bits of the narrowest and the widest access; ``energies``: of the widest
    read and write, pJ.
    """
    # From and to the higher and the lower level: an output's partial sums come back, too.
    directions = ("tl", "fh", "th", "fl") if operand == "O" else ("tl", "fh")
    ports = [
        {
            "name": f"{'r' if direction[0] == 't' else 'w'}_port_{number}",
            "type": "read" if direction[0] == "t" else "write",
            "bandwidth_min": widths[0],
            "bandwidth_max": widths[1],
            "allocation": [f"{operand}, {direction}"],
        }
        for number, direction in enumerate(directions, start=1)
    ]
    return {
        "size": size,
        "r_cost": _plain(energies[0]),
        "w_cost": _plain(energies[1]),
        "area": 0.0,
        "latency": 1,
        "operands": [operand],
        "ports": ports,
        "served_dimensions": [] if everywhere else ["D1", "D2"],
    }


def _dram(width: int) -> dict[str, Any]:
    """One interface for reads and writes of every operand."""
    cost = _plain(costs.DRAM_PJ_PER_BYTE * width / 8)
    directions = [f"{operand}, {way}" for operand in ("I1", "I2") for way in ("fh", "tl")]
    directions += [f"O, {way}" for way in ("fh", "tl", "fl", "th")]
    port = {
        "name": "rw_port_1",
        "type": "read_write",
        "bandwidth_min": min(8, width),
        "bandwidth_max": width,
        "allocation": directions,
    }
    return {
        "size": DRAM_BITS,
        "r_cost": cost,
        "w_cost": cost,
        "area": 0.0,
        "latency": 1,
        "operands": ["I1", "I2", "O"],
        "ports": [port],
        "served_dimensions": ["D1", "D2"],
    }


def _pj(microjoules: Floats) -> float:
    """The energy of the only hardware point there is."""
    return float(microjoules[0]) * 1e6


def _plain(value: float) -> float:
    """Rounded so that it is written without an exponent, which YAML reads as text."""
    return round(value, 9) if value >= 1e-4 else 0.0
