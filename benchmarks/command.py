"""The command of a package of benchmarks: some or all of its measurements as one table."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.row import Row


def print_measurements(package: str, measurements: Sequence[str], about: str) -> None:
    """Run the modules named on the command line (default: all) and print what they reached."""
    listed = ", ".join(measurements)
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=about)
    parser.add_argument("names", nargs="*", metavar="NAME", help=listed)
    names = parser.parse_args().names or measurements
    for name in names:
        if name not in measurements:
            parser.error(f"{name}: allowed {listed}")
    rows: list[Row] = []
    for name in names:
        rows += importlib.import_module(f"{package}.{name}").measure()
    table = Table("what", "asked", "reached", "met")
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "no"
        table.add_row(row.what, row.asked, row.reached, met)
    Console().print(table)
