"""All measurements of the hardware models as one table. Run by `python -m benchmarks.hardware`."""

from __future__ import annotations

import argparse
import importlib

from rich.console import Console
from rich.table import Table

from benchmarks.hardware.row import Row

MEASUREMENTS = (
    "cycles",
    "throughput",
    "simulator_speed",
    "area",
    "zigzag_agreement",
    "eyeriss_alexnet",
    "a100_matmul",
    "proxy",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    names = parser.parse_args().names or MEASUREMENTS
    for name in names:
        if name not in MEASUREMENTS:
            parser.error(f"{name}: allowed {', '.join(MEASUREMENTS)}")
    rows: list[Row] = []
    for name in names:
        rows += importlib.import_module(f"benchmarks.hardware.{name}").measure()
    table = Table("what", "asked", "reached", "met")
    for row in rows:
        table.add_row(row.what, row.asked, row.reached, {True: "yes", False: "no"}.get(row.met, ""))
    Console().print(table)


if __name__ == "__main__":
    main()
