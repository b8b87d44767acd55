"""A simulation on the terminal, and the network files it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from archwright.border import Table, complaint, read_toml
from archwright.errors import UserError
from archwright.tools.images import Images
from archwright.tools.simulate_hardware import PointArgument, Simulation

if TYPE_CHECKING:
    from rich.console import Console


class _NetworkFile(Table):
    input: Images
    network: PointArgument


def load_network(path: Path) -> dict[str, Any]:
    """A network file: tables ``input`` (channels, side, classes) and ``network``.

    Raises :class:`UserError`, one line, for a missing, damaged or foreign file.
    """
    try:
        file = _NetworkFile.model_validate(read_toml(path, "network", UserError))
    except ValidationError as error:
        raise UserError(f"{path.name}: {complaint(error)}") from None
    return {**file.input.model_dump(), "network": file.network}


def print_simulation(simulation: Simulation, console: Console) -> None:
    """A table per layer and the totals, in 80 columns."""
    from rich import box
    from rich.table import Table

    title = f"layers, {simulation.fidelity} fidelity"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=0)
    table.add_column("layer", overflow="fold")
    for heading in ("cycles", "stalls", "used", "DRAM B", "uJ"):
        table.add_column(heading, justify="right")
    table.add_column("bound by")
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
