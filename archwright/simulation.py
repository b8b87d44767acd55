"""A simulation on the terminal, and the network files it starts from."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import UserError
from archwright.tools.simulate_hardware import Simulation

if TYPE_CHECKING:
    from rich.console import Console

LARGEST_NETWORK_BYTES = 100_000


def load_network(path: Path) -> dict[str, Any]:
    """A network file: tables ``input`` (channels, side, classes) and ``network``.

    Raises :class:`UserError`, one line, for a missing, damaged or foreign file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such network file")
    if path.stat().st_size > LARGEST_NETWORK_BYTES:
        raise UserError(f"{path}: larger than {LARGEST_NETWORK_BYTES} bytes")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not TOML: {error}") from None
    unknown = sorted(set(table) - {"input", "network"})
    if unknown or not isinstance(table.get("network"), dict):
        wrong = f"{unknown[0]}: unknown key" if unknown else "network: missing"
        raise UserError(f"{path}: {wrong}; allowed the tables input and network")
    given = table.get("input", {})
    if not isinstance(given, dict):
        raise UserError(f"{path}: input = {given!r}: allowed a table")
    return {**given, "network": table["network"]}


def print_simulation(simulation: Simulation, console: Console) -> None:
    """A table per layer and the totals, in 80 columns."""
    from rich.table import Table

    table = Table(title=f"layers, {simulation.fidelity} fidelity", title_justify="left")
    for heading in ("layer", "cycles", "stalls", "used", "DRAM B", "uJ", "bound by"):
        table.add_column(heading, justify="left" if heading in ("layer", "bound by") else "right")
    for layer in simulation.layers:
        table.add_row(
            layer.name,
            f"{layer.cycles}",
            f"{layer.stall_cycles}",
            f"{layer.utilisation:.0%}",
            f"{layer.dram_bytes:.0f}",
            f"{layer.energy_uj:.3g}",
            layer.bound,
        )
    console.print(table)
    for name, value in simulation.totals.items():
        console.print(f"{name:12} {value:.4g}", highlight=False)
