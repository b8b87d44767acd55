"""Simulations on the terminal, and the network and hardware files they start from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from archwright.border import Table, complaint, read_toml
from archwright.errors import SpaceError, UserError
from archwright.evaluators.hardware import load_hardware
from archwright.evaluators.hardware.platforms import Platform, RooflineModel
from archwright.evaluators.supernet import network_space, workload_of
from archwright.onnx_network import read_onnx_network
from archwright.tools.images import Images
from archwright.tools.simulate_hardware import (
    SOURCES,
    PointArgument,
    SimulatedLayer,
    Simulation,
    simulate,
)
from archwright.workload import Workload

if TYPE_CHECKING:
    from rich.console import Console

Column = tuple[str, Callable[[SimulatedLayer], float | None], str]

COLUMNS: tuple[Column, ...] = (
    ("cycles", lambda layer: layer.cycles, ".0f"),
    ("stalls", lambda layer: layer.stall_cycles, ".0f"),
    ("used", lambda layer: layer.utilisation, ".0%"),
    ("DRAM B", lambda layer: layer.dram_bytes, ".0f"),
    ("uJ", lambda layer: layer.energy_uj, ".3g"),
    ("us", lambda layer: None if layer.cycles is not None else layer.latency_us, ".4g"),
)
"""Heading, value and format of a layer's numbers. Times for those without cycles only."""


class _NetworkFile(Table):
    input: Images
    network: PointArgument


@dataclass(frozen=True)
class NetworkFile:
    """A network to cost: its workload and, where it came as ONNX, that file.

    ``warning`` says which operators of it are not costed.
    """

    workload: Workload
    onnx: Path | None = None
    warning: str | None = None


def load_network(path: Path) -> dict[str, Any]:
    """A network file: tables ``input`` (channels, side, classes, family) and ``network``.

    Raises :class:`UserError`, one line, for a missing, damaged or foreign file.
    """
    try:
        file = _NetworkFile.model_validate(read_toml(path, "network", UserError))
    except ValidationError as error:
        raise UserError(f"{path.name}: {complaint(error)}") from None
    return {**file.input.model_dump(), "network": file.network}


def load_workload(path: Path, bits: int) -> NetworkFile:
    """The network in a TOML file of one of our families or in any ONNX file.

    ``bits`` are those of an ONNX network's weights and activations; a TOML file says its
    own. Raises :class:`UserError`, one line.
    """
    if path.suffix.lower() == ".onnx":
        read = read_onnx_network(path, bits)
        return NetworkFile(read.workload, path, read.warning)
    table = load_network(path)
    images = Images(**{name: table[name] for name in Images.model_fields})
    space = network_space(images.shape, images.family)
    try:
        network = space.decode(space.encode([table["network"]]))[0]
    except SpaceError as error:
        raise SpaceError(f"{path.name}: network.{error}") from None
    return NetworkFile(workload_of(network, images.shape, images.family))


def run_simulation(
    network: Path,
    hardware: Path | None,
    platform: str | None,
    fidelity: str,
    bits: int,
    as_json: bool,
) -> None:
    """The command: read the files, judge, print. Mistakes are one line."""
    from rich.console import Console

    if (hardware is None) == (platform is None):
        raise UserError("--hardware or --platform: exactly one of them is needed")
    if fidelity not in SOURCES:
        raise UserError(f"--fidelity {fidelity}: allowed {', '.join(SOURCES)}")
    file = load_workload(network, bits)
    if hardware is not None:
        simulation = simulate(file.workload, load_hardware(hardware), fidelity, file.onnx)
    else:
        simulation = simulate_on_platform(file.workload, Platform.load(str(platform)))
    if file.warning:
        simulation.notes.append(file.warning)
    if as_json:
        print(simulation.model_dump_json())
    else:
        print_simulation(simulation, Console())


def simulate_on_platform(workload: Workload, platform: Platform) -> Simulation:
    """A workload on a bought device, by its roofline."""
    model = RooflineModel(platform)
    totals = {name: float(values[0]) for name, values in model.evaluate([workload]).items()}
    unknown = [name for name, value in totals.items() if math.isnan(value)]
    notes = [f"{platform.name}: a roofline of datasheet fields, not calibrated"]
    if "energy_uj" not in unknown:
        notes.append("energy and power are upper bounds, from the thermal design power")
    return Simulation(
        fidelity="roofline",
        totals={name: value for name, value in totals.items() if name not in unknown},
        intervals={},
        layers=[
            SimulatedLayer(
                name=cost.name,
                macs=layer.macs * workload.batch,
                cycles=None,
                stall_cycles=None,
                utilisation=cost.utilisation,
                dram_bytes=list(cost.bytes.values())[-1],
                energy_uj=None,
                latency_us=cost.latency_us,
                bound=cost.bound,
            )
            for layer, cost in zip(workload.layers, model.per_layer(workload), strict=True)
        ],
        notes=notes,
    )


def print_simulation(simulation: Simulation, console: Console) -> None:
    """A table per layer, the totals and what they leave out, in 80 columns."""
    from rich import box
    from rich.table import Table

    columns = [
        column for column in COLUMNS if any(column[1](x) is not None for x in simulation.layers)
    ]
    bounds = any(layer.bound for layer in simulation.layers)
    title = f"layers, {simulation.fidelity} fidelity"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=0)
    table.add_column("layer", overflow="fold")
    for heading, _, _ in columns:
        table.add_column(heading, justify="right")
    if bounds:
        table.add_column("bound by")
    for layer in simulation.layers:
        numbers = [(value(layer), form) for _, value, form in columns]
        cells = ["-" if number is None else format(number, form) for number, form in numbers]
        table.add_row(layer.name, *cells, *([layer.bound or "-"] if bounds else []))
    if simulation.layers:
        console.print(table)
    for name, total in simulation.totals.items():
        line = f"{name:12} {total:.4g}"
        if name in simulation.intervals:
            low, high = simulation.intervals[name]
            line += f"  (95%: {low:.4g} to {high:.4g})"
        console.print(line, highlight=False)
    for note in simulation.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
