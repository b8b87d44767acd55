"""The tool that costs one network on one hardware, layer by layer, at a fidelity of choice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field

from archwright.border import ChoiceValue
from archwright.errors import MeasurementFailed, SpaceError, UserError
from archwright.evaluators.hardware import AnalyticalModel, space_of
from archwright.evaluators.hardware.simulators import (
    HardwareResult,
    Measured,
    simulators,
)
from archwright.evaluators.supernet import network_space, workload_of
from archwright.space import Point, Space
from archwright.tools.desk import Desk
from archwright.tools.images import Images
from archwright.tools.tool import Tool
from archwright.workload import Workload

PointArgument = Annotated[dict[str, ChoiceValue], Field(max_length=64)]
Source = Literal["analytical", "scalesim", "zigzag", "measured"]
SOURCES: tuple[Source, ...] = get_args(Source)


class SimulateHardware(Images):
    """A network of a family, the images it is for, a hardware, and who judges."""

    network: PointArgument = Field(description="a value for each choice of the network space")
    hardware: PointArgument = Field(description="a value for each choice of the hardware space")
    fidelity: Source = Field(
        default="analytical",
        description=(
            "analytical: at once. scalesim: cycles, seconds to minutes. zigzag: cycles and "
            "energy, seconds to minutes. measured: latency of the network on this machine's "
            "processor, whatever the hardware"
        ),
    )


class SimulatedLayer(BaseModel):
    """What one layer costs on the hardware; null where the fidelity does not say."""

    name: str
    macs: int = Field(description="multiply-accumulates")
    cycles: float | None = Field(description="without stalls")
    stall_cycles: float | None
    utilisation: float | None = Field(description="share of the array at work, 0 to 1")
    dram_bytes: float | None
    energy_uj: float | None
    latency_us: float | None
    bound: str | None = Field(description="the resource that bounds the layer")


class CostedLayer(SimulatedLayer):
    """What one layer costs by the analytical model, which knows all of it."""

    cycles: float = Field(description="without stalls")
    stall_cycles: float
    utilisation: float = Field(description="share of the array at work, 0 to 1")
    dram_bytes: float
    energy_uj: float
    latency_us: float
    bound: str = Field(description="the resource that bounds the layer")


class Simulation(BaseModel):
    """Totals (units in the names) and every layer, at one fidelity."""

    fidelity: str
    totals: dict[str, float]
    intervals: dict[str, tuple[float, float]] = Field(
        description="95% interval of the totals that are not exact"
    )
    layers: list[SimulatedLayer]
    notes: list[str] = Field(description="what is not covered")


def simulate(
    workload: Workload, hardware: Point, source: Source, onnx: Path | None = None
) -> Simulation:
    """Judge a workload on a hardware; a measurement takes its ``onnx`` file where there is one.

    Raises :class:`UserError` where the network cannot run on the hardware, and
    :class:`MeasurementFailed` where the simulator is not installed or fails.
    """
    reason = None if source == "measured" else AnalyticalModel().infeasible(workload, hardware)
    if reason is not None:
        raise UserError(f"hardware: {reason}")
    simulator = Measured(onnx) if source == "measured" else simulators()[source]
    return simulation_of(simulator.simulate(workload, hardware))


def simulation_of(result: HardwareResult) -> Simulation:
    """A simulator's answer as the tool gives it."""
    return Simulation(
        fidelity=result.source,
        totals=dict(result.totals),
        intervals=dict(result.intervals or {}),
        layers=[SimulatedLayer(**vars(layer)) for layer in result.layers],
        notes=list(result.notes),
    )


def costed_layers(workload: Workload, hardware: Point) -> list[CostedLayer]:
    """Every layer of a workload on a hardware, by the analytical model."""
    result = simulators()["analytical"].simulate(workload, hardware)
    return [CostedLayer(**vars(layer)) for layer in result.layers]


def _simulate(arguments: SimulateHardware, desk: Desk) -> Simulation:
    """Cost a network on a hardware: latency, energy, area, layers; by formula or simulator."""
    network = point_in(
        network_space(arguments.shape, arguments.family), "network", arguments.network
    )
    hardware = point_in(space_of(arguments.hardware), "hardware", arguments.hardware)
    workload = workload_of(network, arguments.shape, arguments.family)
    try:
        return simulate(workload, hardware, arguments.fidelity)
    except MeasurementFailed as failure:
        raise UserError(f"{arguments.fidelity}: {failure}") from None


def point_in(space: Space, argument: str, point: Point) -> Point:
    """The point with the space's own values. Raises :class:`SpaceError` naming the argument."""
    try:
        return space.decode(space.encode([point]))[0]
    except SpaceError as error:
        raise SpaceError(f"{argument}.{error}") from None


simulate_hardware = Tool("simulate_hardware", SimulateHardware, Simulation, _simulate)
