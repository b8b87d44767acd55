"""What a session shows, within 80 columns: the front, a design, a comparison, runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from archwright.design import Design
from archwright.measurement import COSTS, METRICS
from archwright.report.text import (
    clean,
    component_words,
    in_words,
    metric_value,
    metric_words,
    number,
    percent,
    unit,
)

if TYPE_CHECKING:
    from archwright.session.store import SessionEntry
    from archwright.tools.archived import ShownDesign, ShownMetric
    from archwright.tools.desk import RunState
    from archwright.tools.fronts import ComparedDesigns, ExplainedDesign, ShownFront
    from archwright.tools.recall_designs import RecalledDesigns
    from archwright.tools.simulate_hardware import CostedLayer

WIDTH = 80
SHOWN_KEY = 8
SHOWN_LAYERS = 12
MOST_COSTS = 4


def short(key: str) -> str:
    """The beginning of a design's key, as every table shows it and every command takes it."""
    return key[:SHOWN_KEY]


def _table(*headings: str, title: str = "") -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, width=None, title=Text(title) or None)
    table.title_justify = "left"
    for position, heading in enumerate(headings):
        justify: Any = "right" if position else "left"
        table.add_column(Text(heading), justify=justify, overflow="fold")
    return table


def front_table(front: ShownFront, by: str) -> Table:
    """The designs of a front with accuracy (validation and test) and the costs asked for."""
    costs = [m for m in front.objectives if m != "accuracy"]
    if by != "accuracy" and by not in costs:
        costs = [by, *costs]
    costs = costs[:MOST_COSTS]
    title = f"front: {len(front.designs)} of {front.size} designs, best {metric_words(by)} first"
    headings = (f"{metric_words(m)}\n{unit(METRICS[m].unit)}".rstrip() for m in costs)
    table = _table("design", "accuracy\nvalidation", "95%", "on test", *headings, title=title)
    for design in front.designs:
        accuracy = design.metrics.get("accuracy_validation")
        table.add_row(
            short(design.key),
            _share(accuracy),
            "-" if accuracy is None else _spread(accuracy),
            _share(design.metrics.get("accuracy_test")),
            *(_number(design.metrics.get(m)) for m in costs),
        )
    return table


def explained(found: ExplainedDesign) -> list[Table | Text]:
    """A design in words, its numbers with their evidence, and its slowest layers."""
    design = found.design
    facts = _facts(
        ("design", design.key),
        ("network", in_words(design.network)),
        ("hardware", in_words(design.hardware)),
        *(
            (_metric_name(m), _with_interval(m, design.metrics[m]))
            for m in sorted(design.metrics, key=_accuracy_first)
        ),
        ("bottleneck", clean(found.bottleneck)),
        ("area", _areas(found.area_mm2)),
        ("proposed by", clean(design.proposer)),
        ("because", clean(design.reason)),
        ("parents", ", ".join(map(short, design.parents))),
        ("recalled", ", ".join(map(short, design.recalled))),
        ("evidence", clean(found.evidence)),
    )
    return [facts, _layer_table(found.layers)]


def _layer_table(layers: Sequence[CostedLayer]) -> Table:
    """The slowest layers; what bounds each."""
    slowest = sorted(layers, key=lambda layer: -layer.latency_us)[:SHOWN_LAYERS]
    title = f"layers: the slowest {len(slowest)} of {len(layers)}"
    table = _table(
        "layer", "latency\nµs", "stalled", "array\nused", "energy\nµJ", "bound", title=title
    )
    for layer in slowest:
        table.add_row(
            clean(layer.name, 30),
            number(layer.latency_us),
            percent(layer.stall_cycles / max(layer.cycles + layer.stall_cycles, 1)),
            percent(layer.utilisation),
            number(layer.energy_uj),
            component_words(layer.bound),
        )
    return table


def compared(found: ComparedDesigns) -> Table:
    """Designs side by side: metrics, the best marked, then the choices that differ."""
    keys = [design.key for design in found.designs]
    table = _table("", *map(short, keys), title="* best of these")
    metrics = dict.fromkeys(m for design in found.designs for m in design.metrics)
    for metric in sorted(metrics, key=_accuracy_first):
        cells = []
        for design in found.designs:
            value = design.metrics.get(metric)
            mark = "*" if found.best.get(metric) == design.key else ""
            cells.append("-" if value is None else f"{_value(metric, value.value)}{mark}")
        table.add_row(_metric_name(metric), *cells)
    table.add_section()
    for choice, values in found.differences.items():
        name = choice if choice.endswith(".bits") else choice.partition(".")[2]
        table.add_row(name, *values)
    return table


def varied(before: Mapping[str, float], after: Mapping[str, float], changes: str) -> Table:
    """What a change of choices does: before, after, difference."""
    table = _table("", "before", "after", "difference", title=f"what if {changes}")
    for metric in after:
        if metric not in METRICS and not metric.startswith("accuracy"):
            continue
        old, new = before.get(metric), after[metric]
        table.add_row(
            _metric_name(metric),
            "-" if old is None else _value(metric, old),
            _value(metric, new),
            "-" if old is None else _difference(metric, old, new),
        )
    return table


def pending_table(designs: Sequence[Design], costs: Mapping[str, Mapping[str, float]]) -> Table:
    """Designs that wait for approval, with their free costs and why they were proposed.

    ``costs``: of each design, by its key.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="designs that wait for approval")
    table.title_justify = "left"
    table.add_column("design", no_wrap=True)
    table.add_column("what and why", overflow="fold")
    for design in designs:
        numbers = ", ".join(
            f"{metric_words(m)} {metric_value(m, v)}" for m, v in costs[design.key].items()
        )
        words = f"{in_words(design.network)}\n{in_words(design.hardware)}\n{numbers}\n"
        table.add_row(short(design.key), Text(f"{words}{clean(design.origin.reason)}\n"))
    return table


def recalled(found: RecalledDesigns) -> Table:
    """Designs of past runs: memories, not measurements of this one."""
    table = _table("design", "alike", "accuracy", "latency\nms", "area\nmm²", "run")
    table.title = Text("recalled: numbers of those runs, not of this one")
    for design in found.designs:
        table.add_row(
            short(design.key),
            f"{design.similarity:.2f}",
            percent(design.accuracy),
            *(
                "-" if design.costs.get(m) is None else number(design.costs[m])
                for m in ("latency_ms", "area_mm2")
            ),
            clean(design.run, 64),
        )
    return table


def state_table(state: RunState) -> Table:
    """How a run stands."""
    from archwright.progress import clock

    left = "" if state.seconds_left is None else clock(state.seconds_left)
    return _facts(
        ("run", state.run),
        ("status", state.status),
        ("doing", clean(f"{state.part}: {state.detail}" if state.detail else state.part)),
        ("evaluations", f"{state.evaluations} of {state.budget}"),
        ("rejected / failed", f"{state.rejected} / {state.failed}"),
        ("hypervolume", f"{state.hypervolume:.4f}"),
        ("best so far", clean(state.best)),
        ("time", clock(state.seconds)),
        ("left", left),
        ("ended because", clean(state.stopped)),
        ("folder", state.folder),
    )


def progress_line(state: RunState) -> str:
    """How a run stands, on one line of at most 79 characters."""
    doing = f"{state.part}: {state.detail}" if state.detail else state.part
    line = (
        f"{state.status}: {state.evaluations}/{state.budget} evaluated, "
        f"hypervolume {state.hypervolume:.4f} | {doing}"
    )
    return clean(line, WIDTH - 1)


def session_table(entries: Sequence[SessionEntry]) -> Table:
    """The sessions of this home."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("session", no_wrap=True)
    table.add_column("began (UTC)", no_wrap=True)
    table.add_column("brief", overflow="fold")
    table.add_column("runs", justify="right")
    for entry in entries:
        began = entry.started[:16].replace("T", " ")
        table.add_row(
            entry.session, began, Text(clean(entry.name, 40) or "-"), str(len(entry.runs))
        )
    return table


def _facts(*rows: tuple[str, str]) -> Table:
    """Names and values; rows without a value are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value:
            table.add_row(Text(name, style="bold"), Text(value))
    return table


def _accuracy_first(metric: str) -> bool:
    return not metric.startswith("accuracy")


def _metric_name(metric: str) -> str:
    return {"accuracy_validation": "accuracy", "accuracy_test": "on test"}.get(
        metric, metric_words(metric)
    )


def _value(metric: str, value: float) -> str:
    return metric_value("accuracy" if metric.startswith("accuracy") else metric, value)


def _difference(metric: str, old: float, new: float) -> str:
    """Points for an accuracy, a share of what it was for a cost."""
    if metric.startswith("accuracy"):
        return f"{100 * (new - old):+.1f} points"
    return "-" if old == 0 else f"{100 * (new - old) / old:+.1f}%"


def _with_interval(metric: str, shown: ShownMetric) -> str:
    text = _value(metric, shown.value)
    if shown.low != shown.high:
        text += f", 95% interval {_spread(shown)}%"
    labels = {"accuracy_validation": ", validation split: optimistic, it was selected on"}
    return f"{text} ({shown.fidelity}{labels.get(metric, '')})"


def _spread(accuracy: ShownMetric) -> str:
    return f"{number(100 * accuracy.low)} to {number(100 * accuracy.high)}"


def _share(accuracy: ShownMetric | None) -> str:
    return "-" if accuracy is None else percent(accuracy.value)


def _number(shown: ShownMetric | None) -> str:
    return "-" if shown is None else number(shown.value)


def _areas(areas: Mapping[str, float]) -> str:
    largest = sorted(areas.items(), key=lambda item: -item[1])
    return ", ".join(f"{component_words(name)} {number(a)} mm²" for name, a in largest)


def costs_of(design: ShownDesign) -> dict[str, float]:
    """A shown design's values by metric."""
    return {m: v.value for m, v in design.metrics.items() if m in COSTS or m.startswith("acc")}
