"""A result in a few lines: as one JSON object, and as a table of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.measurement import Measurement
from archwright.report.promoted import promoted_table
from archwright.report.story import model_line
from archwright.report.text import in_words
from archwright.result import JudgedDesign, PromotedDesign, RunResult

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_DESIGNS = 8


def result_table(result: RunResult, folder: Path) -> dict[str, Any]:
    """What ``--json`` prints: plain values, units beside every metric."""
    baseline = result.baseline
    return {
        "run": result.run,
        "folder": str(folder),
        "stopped": result.stopped,
        "seconds": round(result.seconds, 2),
        "seconds_by_part": {part: round(s, 2) for part, s in result.seconds_by_part.items()},
        "evaluations": result.evaluations,
        "proposed": result.proposed,
        "rejected": result.rejected,
        "failed": len(result.failures),
        "hypervolume": result.hypervolume,
        "random_hypervolume": None if baseline is None else baseline.hypervolume,
        "model": _model_table(result),
        "front": [_design_table(judged) for judged in result.front],
        "best": None if result.best is None else _design_table(result.best),
        "nearest": None if result.nearest is None else _design_table(result.nearest),
        "promoted": [_promoted_table(p) for p in result.promotion.designs]
        if result.promotion
        else [],
    }


def _model_table(result: RunResult) -> dict[str, Any]:
    use = asdict(result.model_use)
    lists = {name: list(use[name]) for name in ("by_role", "unpriced")}
    return {**use, **lists, "tokens_per_evaluated_design": result.tokens_per_design}


def _promoted_table(promoted: PromotedDesign) -> dict[str, Any]:
    measured = {"accuracy_validation": promoted.trained, "accuracy_test": promoted.accuracy_test}
    metrics = {name: m for name, m in measured.items() if m is not None}
    return {
        "key": promoted.design.key,
        "epochs": list(promoted.epochs),
        "reached": promoted.reached,
        "metrics": _metrics({**metrics, **promoted.simulated}),
    }


def _design_table(judged: JudgedDesign) -> dict[str, Any]:
    measured: dict[str, Measurement] = {"accuracy_validation": judged.accuracy_validation}
    if judged.accuracy_test is not None:
        measured["accuracy_test"] = judged.accuracy_test
    measured |= judged.costs
    return {
        "key": judged.design.key,
        "network": dict(judged.design.network),
        "hardware": dict(judged.design.hardware),
        "proposer": judged.design.origin.proposer,
        "reason": judged.design.origin.reason,
        "metrics": _metrics(measured),
    }


def _metrics(measured: Mapping[str, Measurement]) -> dict[str, Any]:
    return {
        name: {
            "value": m.value,
            "unit": m.unit,
            "low": m.low,
            "high": m.high,
            "fidelity": m.fidelity.value,
        }
        for name, m in measured.items()
    }


def print_summary(result: RunResult, folder: Path, console: Console) -> None:
    """The front, thinned, the chosen design and where the files are."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    baseline = result.baseline
    beside = "" if baseline is None else f" (random search: {baseline.hypervolume:.4f})"
    console.print(
        f"{result.evaluations} evaluations, {result.rejected} of {result.proposed} proposals "
        f"rejected, hypervolume {result.hypervolume:.4f}{beside}",
        highlight=False,
    )
    console.print(model_line(result), markup=False, highlight=False)
    costs = [m for m in result.brief.objectives if m != "accuracy"]
    table = Table(
        title="front (validation accuracy was selected on)", title_justify="left", box=box.SIMPLE
    )
    for heading in ("", "accuracy", "on test", *(metric.replace("_", "\n") for metric in costs)):
        table.add_column(heading, justify="right")
    best = result.best.design.key if result.best else None
    for judged in _thinned(result.front, best):
        test = "-" if judged.accuracy_test is None else f"{judged.accuracy_test.value:.3f}"
        mark = Text("best" if judged.design.key == best else "", style="bold")
        table.add_row(
            mark,
            f"{judged.accuracy_validation.value:.3f}",
            test,
            *(f"{judged.costs[metric].value:.4g}" for metric in costs),
        )
    if result.front:
        console.print(table)
        if len(result.front) > SHOWN_DESIGNS:
            console.print(f"{len(result.front)} designs in all: front.csv", highlight=False)
    else:
        console.print(_nothing_found(result), highlight=False)
    _print_promoted(result, console)
    if result.best is not None:
        design = result.best.design
        console.print(f"best network: {in_words(design.network)}", highlight=False)
        console.print(f"best hardware: {in_words(design.hardware)}", highlight=False)
    for name in ("report.html", "front.csv", "best"):
        if (folder / name).exists():
            console.print(Text(f"{name:12} {folder / name}"), soft_wrap=True)


def _nothing_found(result: RunResult) -> str:
    """That nothing meets the bounds, and which design came nearest, with what it reached."""
    text = "no design meets every bound of the brief"
    if result.nearest is None:
        return text
    near = result.nearest
    reached = ", ".join(f"{m} {near.value(m):.4g}" for m in result.brief.constraints)
    return (
        f"{text}; the nearest{f' ({reached})' if reached else ''} is network "
        f"{in_words(near.design.network)}, hardware {in_words(near.design.hardware)}"
    )


def _print_promoted(result: RunResult, console: Console) -> None:
    """What further training and simulation made of the promoted designs, in 80 columns."""
    from rich import box
    from rich.table import Table

    promoted = promoted_table(result)
    if promoted is None:
        return
    table = Table(title="promoted designs", title_justify="left", box=box.SIMPLE, padding=0)
    table.add_column("")
    for heading in promoted.heading[2:]:
        table.add_column(heading.replace(": ", "\n"), justify="right", vertical="bottom")
    for row in promoted.rows:
        table.add_row(row[0], *row[2:])
    console.print(table)


def _thinned(front: Sequence[JudgedDesign], best: str | None) -> list[JudgedDesign]:
    """At most :data:`SHOWN_DESIGNS`, evenly through the front, among them ``best`` by its key."""
    if len(front) <= SHOWN_DESIGNS:
        return list(front)
    last = len(front) - 1
    kept = {round(k * last / (SHOWN_DESIGNS - 1)) for k in range(SHOWN_DESIGNS)}
    chosen = next((k for k, judged in enumerate(front) if judged.design.key == best), None)
    if chosen is not None and chosen not in kept:
        nearest = min(kept - {0, last}, key=lambda k: abs(k - chosen))
        kept = (kept - {nearest}) | {chosen}
    return [front[k] for k in sorted(kept)]
