"""The tools that read results: the front, one design explained, several compared."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from archwright.border import Table
from archwright.design import Design
from archwright.evaluators.hardware import AnalyticalModel
from archwright.measurement import METRICS
from archwright.tools.archived import (
    ArchivedRun,
    DesignArgument,
    RunArgument,
    ShownDesign,
    archived,
)
from archwright.tools.desk import Desk
from archwright.tools.simulate_hardware import CostedLayer, costed_layers
from archwright.tools.tool import Tool

MOST_DESIGNS = 200


class ShowFront(Table):
    """Which run, how many designs, in which order."""

    run: RunArgument
    designs: int = Field(default=20, ge=1, le=MOST_DESIGNS, description="at most so many")
    by: Literal[
        "accuracy",
        "latency_ms",
        "energy_uj",
        "area_mm2",
        "power_mw",
        "parameters",
        "macs",
        "memory_kib",
    ] = Field(default="accuracy", description="best first by this metric")


class ShownFront(BaseModel):
    """The front's designs, evenly thinned where there are more than asked for."""

    run: str
    objectives: dict[str, str]
    size: int = Field(description="designs on the front")
    designs: list[ShownDesign]


class OneDesign(Table):
    """Which design of which run."""

    run: RunArgument
    design: DesignArgument


class ExplainedDesign(BaseModel):
    """A design, its layers on its hardware, and what limits it."""

    design: ShownDesign
    layers: list[CostedLayer]
    area_mm2: dict[str, float] = Field(description="by component")
    bottleneck: str = Field(description="the slowest layer and the resource that bounds it")
    evidence: str = Field(description="which evaluators, versions and fidelities gave the numbers")


class CompareDesigns(Table):
    """Two to five designs of one run."""

    run: RunArgument
    designs: list[DesignArgument] = Field(min_length=2, max_length=5)


class ComparedDesigns(BaseModel):
    """The designs, what they choose differently, and which is best by each metric."""

    designs: list[ShownDesign]
    differences: dict[str, list[str]] = Field(
        description="choice to its value in each design, where they differ"
    )
    best: dict[str, str] = Field(description="metric to the key of the best design")


def _front(arguments: ShowFront, desk: Desk) -> ShownFront:
    """Show the front of a run: its non-dominated designs with metrics, units and intervals."""
    with archived(arguments.run, desk) as run:
        shown = [run.show(design) for design in _thinned(run, arguments)]
        return ShownFront(
            run=run.run, objectives=dict(run.brief.objectives), size=len(run.front), designs=shown
        )


def _thinned(run: ArchivedRun, arguments: ShowFront) -> list[Design]:
    """The front, best first by the metric asked for, evenly thinned."""
    metric, size = METRICS[arguments.by], len(run.front)
    sign = -1.0 if metric.maximise else 1.0
    values = run.values(metric.name)
    ordered = sorted(run.front, key=lambda design: (sign * values[design.key], design.key))
    if size <= arguments.designs:
        return ordered
    if arguments.designs == 1:
        return ordered[:1]
    last = arguments.designs - 1
    return [ordered[round(k * (size - 1) / last)] for k in range(arguments.designs)]


def _explain(arguments: OneDesign, desk: Desk) -> ExplainedDesign:
    """Explain a design: its layers, what bounds it, where it came from, and the evidence."""
    with archived(arguments.run, desk) as run:
        design = run.design(arguments.design)
        workload = run.workload(design)
        layers = costed_layers(workload, design.hardware)
        slowest = max(layers, key=lambda layer: layer.latency_us)
        total = sum(layer.latency_us for layer in layers)
        return ExplainedDesign(
            design=run.show(design),
            layers=layers,
            area_mm2=dict(AnalyticalModel().area_breakdown(design.hardware)),
            bottleneck=(
                f"{slowest.name} takes {slowest.latency_us / total:.0%} of the time, "
                f"bound by {slowest.bound}"
            ),
            evidence=run.evidence(design),
        )


def _compare(arguments: CompareDesigns, desk: Desk) -> ComparedDesigns:
    """Compare designs of a run: what they choose differently and which is best by what."""
    with archived(arguments.run, desk) as run:
        shown = [run.show(run.design(key, "designs")) for key in arguments.designs]
    points = [
        {
            **{f"network.{k}": v for k, v in d.network.items()},
            **{f"hardware.{k}": v for k, v in d.hardware.items()},
        }
        for d in shown
    ]
    differences = {
        name: [str(point[name]) for point in points]
        for name in points[0]
        if len({point[name] for point in points}) > 1
    }
    metrics = [m for m in shown[0].metrics if all(m in d.metrics for d in shown)]
    best = {metric: _best(metric, shown) for metric in metrics}
    return ComparedDesigns(designs=shown, differences=differences, best=best)


def _best(metric: str, designs: list[ShownDesign]) -> str:
    """The key of the design that is best by a metric; the first of equals."""
    highest = metric.startswith("accuracy")
    values = [design.metrics[metric].value for design in designs]
    return designs[values.index(max(values) if highest else min(values))].key


front = Tool("front", ShowFront, ShownFront, _front)
explain_design = Tool("explain_design", OneDesign, ExplainedDesign, _explain)
compare_designs = Tool("compare_designs", CompareDesigns, ComparedDesigns, _compare)
