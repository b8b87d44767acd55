"""The hardware space "systolic", and hardware as TOML files."""

from __future__ import annotations

from pathlib import Path

from archwright.border import read_toml
from archwright.errors import SpaceError, shown
from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.space import Choice, Point, Space, Value

SIDES = (4, 8, 16, 32, 64)
BUFFERS_KIB = (1, 8, 64)

_MEMORY_AND_CLOCK = (
    Choice(
        "dram_gb_per_s",
        (0.25, 1.0, 4.0, 16.0),
        "bandwidth of the DRAM; costs interface area and standby power",
        "GB/s",
    ),
    Choice(
        "clock_mhz",
        (200, 400, 800),
        "clock of the accelerator; a higher one needs a higher voltage",
        "MHz",
    ),
    Choice(
        "bits",
        (8, 16),
        "widest operand; wider networks do not run, narrower ones pay for the width",
        "bit",
    ),
)


def hardware_space(name: str = "systolic") -> Space:
    """The accelerators that a search may choose from: 48,600 points in either space.

    An array with three double-buffered memories and one DRAM interface: "systolic"
    (weight-, input- or output-stationary) or "row_stationary" (like Eyeriss, with a
    register file in each element). The sizes reach from networks of a few hundred
    parameters on 8x8 images to MobileNet's class. The last choices vary fastest in
    ``Space.enumerate``: those that share their traffic stand side by side. Raises
    :class:`SpaceError` for another name.
    """
    if name not in SPACES:
        raise SpaceError(f"hardware space = {shown(name)}: allowed {', '.join(SPACES)}")
    return Space(name, (*SPACES[name], *_MEMORY_AND_CLOCK))


def _buffers(sizes: tuple[int, ...]) -> tuple[Choice, ...]:
    contents = {
        "input": "memory for inputs, double buffered",
        "weight": "memory for weights, double buffered",
        "output": "memory for partial sums and outputs, double buffered",
    }
    return tuple(
        Choice(f"{buffer}_buffer_kib", sizes, meaning, "KiB")
        for buffer, meaning in contents.items()
    )


SPACES = {
    "systolic": (
        Choice("rows", SIDES, "rows of multiply-accumulate units in the array"),
        Choice("columns", SIDES, "columns of the array, and lanes of the vector unit"),
        Choice(
            "dataflow",
            ("os", "ws", "is"),
            "what stays in the array: output sums, weights or inputs",
        ),
        *_buffers(BUFFERS_KIB),
    ),
    "row_stationary": (
        Choice("rows", (3, 6, 12, 24, 48), "rows of processing elements: of filters' rows"),
        Choice("columns", (4, 7, 14, 28, 56), "columns of the array: of the outputs' rows"),
        Choice("dataflow", ("rs",), "what stays in the array: rows of all three operands"),
        Choice(
            "register_file_bytes",
            (130, 520, 1040),
            "register file of each element: inputs, weights and sums",
            "B",
        ),
        *_buffers((2, 16, 128)),
    ),
}


def space_of(point: Point) -> Space:
    """The hardware space that a point with this dataflow belongs to."""
    return hardware_space("row_stationary" if point.get("dataflow") == "rs" else "systolic")


def load_hardware(path: Path, space: Space | None = None) -> dict[str, Value]:
    """A hardware from a TOML file: a point of ``space``, by default any that the model takes.

    The file holds one ``choice = value`` per line; see :meth:`HardwareColumns.checked` for
    what is allowed beside the choices of the space. Raises :class:`SpaceError`, one line
    that names the file and the key, for anything else.
    """
    point = read_toml(path, "hardware", SpaceError)
    try:
        if space is not None:
            return space.decode(space.encode([point]))[0]
        for name, value in point.items():
            if isinstance(value, list | dict):
                raise SpaceError(f"{name} = {shown(value)}: one value is needed")
        HardwareColumns.checked(point)
    except SpaceError as error:
        raise SpaceError(f"{path.name}: {error}") from None
    return point


def dump_hardware(point: Point, path: Path, space: Space | None = None) -> None:
    """Write a point of ``space`` as TOML, each choice with its meaning as a comment."""
    space = space or space_of(point)
    space.check(point)
    lines = []
    for choice in space.choices:
        value = point[choice.name]
        text = f'"{value}"' if isinstance(value, str) else repr(value)
        lines.append(f"{choice.name} = {text}  # {choice.meaning}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
