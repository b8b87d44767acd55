"""The tool that costs one network on one hardware, layer by layer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from archwright.errors import UserError
from archwright.evaluators.hardware import AnalyticalModel, hardware_space
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.measurement import COSTS
from archwright.space import Value
from archwright.tools.tool import Tool


class SimulateHardware(BaseModel):
    """A network of the mbconv space, the images it is for, and a hardware."""

    model_config = ConfigDict(extra="forbid")

    network: dict[str, Value]
    hardware: dict[str, Value]
    channels: int = Field(default=1, ge=1, le=3, description="of the images")
    side: int = Field(default=8, ge=8, le=256, description="of the square images, in pixels")
    classes: int = Field(default=10, ge=2, le=1000)


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


def _simulate(arguments: SimulateHardware) -> Simulation:
    """Cost a network on a hardware with the analytical model: latency, energy, area, layers."""
    shape = InputShape(arguments.channels, arguments.side, arguments.classes)
    network_space(shape).check(arguments.network)
    space = hardware_space()
    space.check(arguments.hardware)
    workload = workload_of(arguments.network, shape)
    model = AnalyticalModel()
    reason = model.infeasible(workload, arguments.hardware)
    if reason is not None:
        raise UserError(f"hardware: {reason}")
    totals = model.evaluate([workload], space.columns(space.encode([arguments.hardware])))
    layers = model.per_layer(workload, arguments.hardware)
    return Simulation(
        fidelity="analytical",
        totals={
            metric: float(totals[metric][0, 0]) for metric in (*COSTS, "cycles", "utilisation")
        },
        layers=[
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
            for layer in layers
        ],
    )


simulate_hardware = Tool("simulate_hardware", SimulateHardware, Simulation, _simulate)
