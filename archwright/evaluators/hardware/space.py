"""The hardware space "systolic", and hardware as TOML files."""

from __future__ import annotations

from pathlib import Path

from archwright.border import read_toml
from archwright.errors import SpaceError
from archwright.space import Choice, Point, Space

SIDES = (4, 8, 16, 32, 64)
BUFFERS_KIB = (1, 8, 64)


def hardware_space() -> Space:
    """The accelerators that a search may choose from: 48,600 points.

    One weight-, input- or output-stationary systolic array with three double-buffered
    memories and one DRAM interface. The sizes reach from networks of a few hundred
    parameters on 8x8 images to MobileNet's class. The last choices vary fastest in
    ``Space.enumerate``: those that share their traffic stand side by side.
    """
    return Space(
        "systolic",
        (
            Choice("rows", SIDES, "rows of multiply-accumulate units in the array"),
            Choice("columns", SIDES, "columns of the array, and lanes of the vector unit"),
            Choice(
                "dataflow",
                ("os", "ws", "is"),
                "what stays in the array: output sums, weights or inputs",
            ),
            Choice("input_buffer_kib", BUFFERS_KIB, "memory for inputs, double buffered", "KiB"),
            Choice("weight_buffer_kib", BUFFERS_KIB, "memory for weights, double buffered", "KiB"),
            Choice(
                "output_buffer_kib",
                BUFFERS_KIB,
                "memory for partial sums and outputs, double buffered",
                "KiB",
            ),
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
        ),
    )


def load_hardware(path: Path, space: Space | None = None) -> dict[str, int | float | str]:
    """A point of ``space`` (default: :func:`hardware_space`) from a TOML file.

    The file holds one ``choice = value`` per line. Raises :class:`SpaceError`, one line
    that names the file and the key, for anything else.
    """
    space = space or hardware_space()
    point = read_toml(path, "hardware", SpaceError)
    try:
        return space.decode(space.encode([point]))[0]
    except SpaceError as error:
        raise SpaceError(f"{path.name}: {error}") from None


def dump_hardware(point: Point, path: Path, space: Space | None = None) -> None:
    """Write a point of ``space`` as TOML, each choice with its meaning as a comment."""
    space = space or hardware_space()
    space.check(point)
    lines = []
    for choice in space.choices:
        value = point[choice.name]
        text = f'"{value}"' if isinstance(value, str) else repr(value)
        lines.append(f"{choice.name} = {text}  # {choice.meaning}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
