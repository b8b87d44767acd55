"""The tool that costs one network on one hardware, layer by layer."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from archwright.border import ChoiceValue
from archwright.errors import SpaceError, UserError
from archwright.evaluators.hardware import AnalyticalModel, hardware_space
from archwright.evaluators.supernet import network_space, workload_of
from archwright.measurement import COSTS
from archwright.space import Point, Space
from archwright.tools.desk import Desk
from archwright.tools.images import Images
from archwright.tools.tool import Tool
from archwright.workload import Workload

PointArgument = Annotated[dict[str, ChoiceValue], Field(max_length=64)]


class SimulateHardware(Images):
    """A network of the mbconv space, the images it is for, and a hardware."""

    network: PointArgument = Field(description="a value for each choice of the network space")
    hardware: PointArgument = Field(description="a value for each choice of the hardware space")


class SimulatedLayer(BaseModel):
    """What one layer costs on the hardware."""

    name: str
    cycles: int
    stall_cycles: int
    utilisation: float = Field(description="share of the array's multipliers at work, 0 to 1")
    dram_bytes: float
    energy_uj: float
    latency_us: float
    bound: str = Field(description="the resource that bounds the layer")


class Simulation(BaseModel):
    """Totals (units in the names) and every layer, at the analytical fidelity."""

    fidelity: str
    totals: dict[str, float]
    layers: list[SimulatedLayer]


def _simulate(arguments: SimulateHardware, desk: Desk) -> Simulation:
    """Cost a network on a hardware with the analytical model: latency, energy, area, layers."""
    space = hardware_space()
    network = _in(network_space(arguments.shape), "network", arguments.network)
    hardware = _in(space, "hardware", arguments.hardware)
    workload = workload_of(network, arguments.shape)
    model = AnalyticalModel()
    reason = model.infeasible(workload, hardware)
    if reason is not None:
        raise UserError(f"hardware: {reason}")
    totals = model.evaluate([workload], space.columns(space.encode([hardware])))
    return Simulation(
        fidelity="analytical",
        totals={
            metric: float(totals[metric][0, 0])
            for metric in (*COSTS, "cycles", "stall_cycles", "utilisation")
        },
        layers=simulated_layers(model, workload, hardware),
    )


def simulated_layers(
    model: AnalyticalModel, workload: Workload, hardware: Point
) -> list[SimulatedLayer]:
    """Every layer of a workload on a hardware."""
    return [
        SimulatedLayer(
            name=layer.name,
            cycles=layer.cycles,
            stall_cycles=layer.stall_cycles,
            utilisation=layer.utilisation,
            dram_bytes=sum(layer.dram_bytes.values()),
            energy_uj=sum(layer.energy_uj.values()),
            latency_us=layer.latency_us,
            bound=layer.bound,
        )
        for layer in model.per_layer(workload, hardware)
    ]


def _in(space: Space, argument: str, point: Point) -> Point:
    """The point with the space's own values. Raises :class:`SpaceError` naming the argument."""
    try:
        return space.decode(space.encode([point]))[0]
    except SpaceError as error:
        raise SpaceError(f"{argument}.{error}") from None


simulate_hardware = Tool("simulate_hardware", SimulateHardware, Simulation, _simulate)
