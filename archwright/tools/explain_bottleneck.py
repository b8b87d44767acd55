"""The tool that says where a network's time goes on a hardware, and what would relieve it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from archwright.errors import UserError
from archwright.evaluators.hardware import AnalyticalModel, LayerCost, space_of
from archwright.evaluators.supernet import load_data, network_space, workload_of
from archwright.space import Point, Space, Value, neighbours
from archwright.tools.archived import RunArgument, archived
from archwright.tools.check_brief import spaces_of
from archwright.tools.desk import Desk
from archwright.tools.images import Images
from archwright.tools.simulate_hardware import PointArgument, point_in
from archwright.tools.tool import Tool
from archwright.workload import Workload

SLOWEST, RELIEFS = 4, 3
LONGEST_NAME = 40
UNLIMITED_KIB = 2**20
"""Buffers of 1 GiB hold every layer of any network here: what is read is read once."""
SHOWN_COSTS = ("latency_ms", "energy_uj", "area_mm2", "power_mw")

Resource = Literal["compute", "bandwidth", "buffers", "fill/drain", "vector unit"]
RESOURCE_MEANING = (
    "compute: the array; bandwidth: of the DRAM; buffers: the DRAM, most of whose traffic is "
    "there only because the buffers are small; fill/drain: of the array; vector unit: pooling "
    "and the like"
)


class ExplainBottleneck(Images):
    """A network of a family, the images it is for, and a hardware; or a run instead of images."""

    network: PointArgument = Field(description="a value for each choice of the network space")
    hardware: PointArgument = Field(description="a value for each choice of the hardware space")
    run: RunArgument | None = Field(
        default=None, description="the run whose images and spaces count, instead of those named"
    )


class SlowLayer(BaseModel):
    """One of the slowest layers."""

    layer: str
    share: float = Field(description="of the network's time, 0 to 1")
    bound: Resource = Field(description=RESOURCE_MEANING)
    utilisation: float = Field(description="share of the array at work, 0 to 1")


class Relief(BaseModel):
    """One choice of the hardware changed by one step, and what the network costs then."""

    choice: str
    now: Value
    instead: Value
    costs: dict[str, float]


class ExplainedBottleneck(BaseModel):
    """Where the time goes, by the analytical model; numbers have four significant digits."""

    costs: dict[str, float] = Field(description="as it is")
    time_by_bound: dict[str, float] = Field(
        description=f"share of the time, 0 to 1, by what bounds a layer. {RESOURCE_MEANING}"
    )
    slowest: list[SlowLayer] = Field(description="slowest first")
    relief: list[Relief] = Field(
        description="what would make it fastest, best first, each choice at its best step; "
        "empty where no single step makes it faster"
    )


def bottleneck_of(workload: Workload, hardware: Point, space: Space) -> ExplainedBottleneck:
    """Where the time of a workload goes on a point of ``space``, and what would relieve it.

    Every point that differs from it in one step of one choice is costed. Raises
    :class:`UserError` where the workload cannot run on the hardware.
    """
    model = AnalyticalModel()
    reason = model.infeasible(workload, hardware)
    if reason is not None:
        raise UserError(f"hardware: {reason}")
    layers = model.per_layer(workload, hardware)
    unlimited = {name: UNLIMITED_KIB for name in hardware if name.endswith("_buffer_kib")}
    at_best = model.per_layer(workload, {**hardware, **unlimited})
    bounds = [_resource(layer, best) for layer, best in zip(layers, at_best, strict=True)]
    total = sum(layer.latency_us for layer in layers)
    times: dict[str, float] = {}
    for layer, bound in zip(layers, bounds, strict=True):
        times[bound] = times.get(bound, 0.0) + layer.latency_us / total
    order = sorted(range(len(layers)), key=lambda k: -layers[k].latency_us)
    costs, relief = _costed_steps(workload, hardware, space)
    return ExplainedBottleneck(
        costs=costs,
        time_by_bound={
            name: rounded(times[name]) for name in sorted(times, key=lambda n: -times[n])
        },
        slowest=[
            SlowLayer(
                layer=layers[k].name[:LONGEST_NAME],
                share=rounded(layers[k].latency_us / total),
                bound=bounds[k],
                utilisation=rounded(layers[k].utilisation),
            )
            for k in order[:SLOWEST]
        ],
        relief=relief,
    )


def rounded(value: float) -> float:
    """To four significant digits: what a reader can use of a number."""
    return float(f"{value:.4g}")


def _resource(layer: LayerCost, best: LayerCost) -> Resource:
    """What bounds a layer; ``best`` is the layer where no buffer limits it."""
    if layer.bound != "dram":
        return layer.bound
    needed = sum(best.dram_bytes.values())
    return "buffers" if sum(layer.dram_bytes.values()) > 2 * needed else "bandwidth"


def _costed_steps(
    workload: Workload, hardware: Point, space: Space
) -> tuple[dict[str, float], list[Relief]]:
    """What the workload costs on the hardware, and the steps that make it faster."""
    row = space.encode([hardware])
    rows = np.concatenate([row, neighbours(space, row)])
    values = AnalyticalModel().evaluate(
        [workload], space.columns(rows), pairing="cross", metrics=SHOWN_COSTS
    )
    latency = values["latency_ms"][0]

    def costs(k: int) -> dict[str, float]:
        return {name: rounded(float(values[name][0, k])) for name in SHOWN_COSTS}

    best: dict[str, int] = {}  # of each choice the step that makes it fastest
    for k in (k for k in np.argsort(latency, kind="stable").tolist() if latency[k] < latency[0]):
        changed = space.choices[int(np.argmax(rows[k] != row[0]))]
        best.setdefault(changed.name, k)
    points = space.decode(rows)
    return costs(0), [
        Relief(choice=name, now=points[0][name], instead=points[k][name], costs=costs(k))
        for name, k in list(best.items())[:RELIEFS]
    ]


def _explain(arguments: ExplainBottleneck, desk: Desk) -> ExplainedBottleneck:
    """Say where a network's time goes on a hardware, and which hardware choice would relieve it."""
    shape, family = arguments.shape, arguments.family
    networks, space = network_space(shape, family), space_of(arguments.hardware)
    if arguments.run is not None:
        with archived(arguments.run, desk) as run:
            brief = run.brief
        shape, family = load_data(brief.task, brief.seed).shape, brief.network.space
        networks, space = spaces_of(brief, shape)
    network = point_in(networks, "network", arguments.network)
    hardware = point_in(space, "hardware", arguments.hardware)
    return bottleneck_of(workload_of(network, shape, family), hardware, space)


explain_bottleneck = Tool("explain_bottleneck", ExplainBottleneck, ExplainedBottleneck, _explain)
