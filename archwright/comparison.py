"""One network on one hardware through every fidelity, and how far these are apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware import load_hardware
from archwright.simulation import NetworkFile, load_workload
from archwright.space import Point
from archwright.tools.simulate_hardware import SOURCES, Simulation, Source, simulate

if TYPE_CHECKING:
    from rich.console import Console

REFERENCE: Source = "analytical"
LAYER_METRICS = ("cycles", "energy_uj")


class Agreement(BaseModel):
    """How a fidelity's layers stand to the analytical ones, for one metric."""

    fidelity: str
    metric: str
    layers: int = Field(description="that both know")
    median_ratio: float = Field(description="fidelity / analytical")
    largest_ratio: float
    smallest_ratio: float
    spearman: float | None = Field(description="rank correlation; null below 3 layers")


class Comparison(BaseModel):
    """Every fidelity's answer, why others have none, and how the layers agree."""

    simulations: list[Simulation]
    seconds: list[float] = Field(description="that each simulation took")
    failed: dict[str, str] = Field(description="fidelity to the reason")
    agreements: list[Agreement]


def compare_fidelities(
    network: NetworkFile, hardware: Point, watch: Callable[[str], None] = lambda _: None
) -> Comparison:
    """The pair through all fidelities in turn; ``watch`` is told which one begins.

    A fidelity that is not installed, cannot express the pair or fails is listed with its
    reason. Raises :class:`UserError` where the analytical model cannot run the pair.
    """
    simulations: list[Simulation] = []
    seconds: list[float] = []
    failed: dict[str, str] = {}
    for source in SOURCES:
        watch(source)
        start = time.perf_counter()
        try:
            simulations.append(simulate(network.workload, hardware, source, network.onnx))
            seconds.append(time.perf_counter() - start)
        except MeasurementFailed as failure:
            failed[source] = str(failure)
    return Comparison(
        simulations=simulations,
        seconds=seconds,
        failed=failed,
        agreements=_agreements(simulations),
    )


def run_comparison(network: Path, hardware: Path, bits: int, as_json: bool) -> None:
    """The command: read both files, judge by all, print. Mistakes are one line."""
    from rich.console import Console

    file, point = load_workload(network, bits), load_hardware(hardware)
    waiting = Console(stderr=True)
    with waiting.status("") as status:
        comparison = compare_fidelities(file, point, lambda name: status.update(f"{name} ..."))
    if file.warning:
        for simulation in comparison.simulations:
            simulation.notes.append(file.warning)
    if as_json:
        print(comparison.model_dump_json())
    else:
        print_comparison(comparison, Console())


def _agreements(simulations: Sequence[Simulation]) -> list[Agreement]:
    """Each simulator's layers against the analytical ones of the same name."""
    reference = next((s for s in simulations if s.fidelity == REFERENCE), None)
    found = []
    for other in simulations:
        if reference is None or other is reference:
            continue
        by_name = {layer.name: layer for layer in other.layers}
        for metric in LAYER_METRICS:
            pairs = [
                (getattr(layer, metric), getattr(by_name[layer.name], metric))
                for layer in reference.layers
                if layer.name in by_name
            ]
            agreement = _agreement(other.fidelity, metric, [p for p in pairs if all(p)])
            if agreement is not None:
                found.append(agreement)
    return found


def _agreement(
    fidelity: str, metric: str, pairs: Sequence[tuple[float, float]]
) -> Agreement | None:
    if not pairs:
        return None
    import numpy as np
    from scipy.stats import spearmanr

    ours, theirs = np.array(pairs, dtype=np.float64).T
    ratios = theirs / ours
    varied = len(pairs) >= 3 and np.ptp(ours) > 0 and np.ptp(theirs) > 0
    return Agreement(
        fidelity=fidelity,
        metric=metric,
        layers=len(pairs),
        median_ratio=float(np.median(ratios)),
        largest_ratio=float(ratios.max()),
        smallest_ratio=float(ratios.min()),
        spearman=float(spearmanr(ours, theirs).statistic) if varied else None,
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Totals side by side and how the layers agree, in 80 columns."""
    from rich import box
    from rich.table import Table

    totals = Table(title="totals", title_justify="left", box=box.SIMPLE, padding=0)
    totals.add_column("metric")
    for simulation in comparison.simulations:
        totals.add_column(simulation.fidelity, justify="right")
    metrics = dict.fromkeys(name for s in comparison.simulations for name in s.totals)
    for metric in metrics:
        values = [simulation.totals.get(metric) for simulation in comparison.simulations]
        totals.add_row(metric, *("-" if value is None else f"{value:.4g}" for value in values))
    totals.add_row("seconds", *(f"{seconds:.3g}" for seconds in comparison.seconds))
    console.print(totals)
    if comparison.agreements:
        table = Table(
            title="layer by layer, as a ratio to analytical",
            title_justify="left",
            box=box.SIMPLE,
            padding=0,
        )
        for heading in ("fidelity", "metric"):
            table.add_column(heading)
        for heading in ("layers", "median", "smallest", "largest", "Spearman"):
            table.add_column(heading, justify="right")
        for row in comparison.agreements:
            table.add_row(
                row.fidelity,
                row.metric,
                str(row.layers),
                f"{row.median_ratio:.3g}",
                f"{row.smallest_ratio:.3g}",
                f"{row.largest_ratio:.3g}",
                "-" if row.spearman is None else f"{row.spearman:.3f}",
            )
        console.print(table)
    for simulation in comparison.simulations:
        for note in simulation.notes:
            console.print(f"{simulation.fidelity}: {note}", highlight=False, markup=False)
    for fidelity, reason in comparison.failed.items():
        console.print(f"{fidelity}: not available: {reason}", highlight=False, markup=False)
