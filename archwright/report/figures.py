"""The plots of a report, as plain plotly.js figures (data and layout).

Colours are names of CSS variables ("var(--search)"): the page's script looks them up
when it draws, so that a meaning has one colour in text, table and plot, in the light
and in the dark. Text from outside is escaped here, for plotly reads tags in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from archwright.report.layers import LayerRow
from archwright.report.text import clean, component_words, number
from archwright.report.views import Cell, Column, FrontRow
from archwright.result import CurvePoint, RunResult

Figure = dict[str, Any]

_COMPONENT_COLOURS = {
    "dram": "--dram",
    "interface": "--interface",
    "input_buffer": "--buffer1",
    "weight_buffer": "--buffer2",
    "output_buffer": "--buffer3",
    "array": "--array",
    "mac": "--array",
    "registers": "--registers",
    "vector_unit": "--vector",
    "leakage": "--leakage",
}
"""One hue for memory outside, one for the buffers, one for the array and its parts."""
_BAR_PIXELS, _FRAME_PIXELS = 19, 96


def front_data(shown: Sequence[Column], rows: Sequence[FrontRow]) -> dict[str, Any]:
    """The front for the page's own plot, whose reader chooses the axes.

    Columns without any value (test accuracy before it is scored) are left out.
    """
    kept = [c for c in range(len(shown)) if any(row.cells[c].value is not None for row in rows)]
    return {
        "axes": [
            {
                "name": shown[c].name,
                "metric": shown[c].metric,
                "label": shown[c].label,
                "objective": shown[c].objective,
                "maximise": shown[c].maximise,
                "values": [row.cells[c].value for row in rows],
                **_whiskers([row.cells[c] for row in rows]),
            }
            for c in kept
        ],
        "chosen": [row.chosen for row in rows],
        "hover": [_hover(row, shown, kept) for row in rows],
    }


def _whiskers(cells: Sequence[Cell]) -> dict[str, list[float | None]]:
    """The ends of the intervals, where the numbers are not all exact."""
    if not any(cell.interval for cell in cells):
        return {}
    return {"low": [cell.low for cell in cells], "high": [cell.high for cell in cells]}


def _hover(row: FrontRow, shown: Sequence[Column], kept: Sequence[int]) -> str:
    title = f"<b>{escape(row.key[:8])}</b>{' (chosen)' if row.chosen else ''}"
    metrics = []
    for c in kept:
        cell, column = row.cells[c], shown[c]
        bounds = f" ({cell.interval})" if cell.interval else ""
        unit = column.unit if column.unit == "%" else f" {column.unit}"
        metrics.append(
            f"{column.heading}: {cell.text}{unit if cell.value is not None else ''}{bounds}"
        )
    origin = _wrapped(f"{row.proposer}, step {row.step}: {clean(row.reason, 160)}")
    words = [*_wrapped(row.network), *_wrapped(f"on {row.hardware}")]
    return "<br>".join([title, *words, *metrics, *origin])


def _wrapped(text: str, width: int = 56) -> list[str]:
    import textwrap

    return [escape(line) for line in textwrap.wrap(text, width)]


def curve(result: RunResult) -> Figure:
    """The hypervolume after so many evaluations, the search beside random search."""
    traces = [_steps("search", "--search", "solid", result.curve)]
    if result.baseline is not None and result.baseline.curve:
        traces.append(_steps("random search", "--random", "dash", result.baseline.curve))
    return {
        "data": traces,
        "layout": {
            "height": 320,
            "xaxis": {"title": {"text": "accuracy evaluations"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "hypervolume"}},
            "hovermode": "x unified",
        },
    }


def _steps(name: str, colour: str, dash: str, points: Iterable[CurvePoint]) -> Figure:
    curve = list(points)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(curve) < 60 else "lines",
        "name": name,
        "x": [point.evaluations for point in curve],
        "y": [point.hypervolume for point in curve],
        "line": {"color": f"var({colour})", "width": 2, "dash": dash, "shape": "hv"},
        "marker": {"color": f"var({colour})", "size": 5},
        "hovertemplate": "%{y:.3f}",
    }


def time_by_layer(layers: Sequence[LayerRow]) -> Figure:
    """Where the time goes: computing or waiting for memory, a stacked bar per layer."""
    return _stacked(
        layers,
        {
            "computing": ("--array", [layer.compute_us for layer in layers]),
            "waiting for memory": ("--dram", [layer.stall_us for layer in layers]),
        },
        "µs",
    )


def energy_by_layer(layers: Sequence[LayerRow]) -> Figure:
    """Where the energy goes, by component, a stacked bar per layer; largest component first."""
    names = {name for layer in layers for name in layer.energy_uj}
    totals = {name: sum(layer.energy_uj.get(name, 0.0) for layer in layers) for name in names}
    ordered = sorted(names, key=lambda name: (-totals[name], name))
    whole = sum(totals.values())
    series = {}
    for name in ordered:
        share = f" {100 * totals[name] / whole:.0f}%" if whole else ""
        series[f"{escape(component_words(name))}{share}"] = (
            _COMPONENT_COLOURS.get(name, "--other"),
            [layer.energy_uj.get(name, 0.0) for layer in layers],
        )
    return _stacked(layers, series, "µJ")


def utilisation_by_layer(layers: Sequence[LayerRow]) -> Figure:
    """How much of the array each layer keeps busy, in percent."""
    shares = [100 * layer.utilisation for layer in layers]
    figure = _stacked(layers, {"utilisation": ("--array", shares)}, "%")
    figure["data"][0] |= {"text": [f"{number(share)}%" for share in shares], "textposition": "auto"}
    figure["layout"]["xaxis"]["range"] = [0, 100]
    return figure


def area_by_component(area: Mapping[str, float]) -> Figure:
    """Where the silicon goes, mm2 by component, largest first."""
    ordered = sorted(area.items(), key=lambda item: (-item[1], item[0]))
    whole = sum(area.values())
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": [escape(component_words(name)) for name, _ in ordered],
                "x": [value for _, value in ordered],
                "text": [
                    f"{number(value)} mm²{f' ({100 * value / whole:.0f}%)' if whole else ''}"
                    for _, value in ordered
                ],
                "textposition": "auto",
                "marker": {
                    "color": [
                        f"var({_COMPONENT_COLOURS.get(name, '--other')})" for name, _ in ordered
                    ]
                },
                "hoverinfo": "y+text",
                "showlegend": False,
            }
        ],
        "layout": _bar_layout(len(ordered), "mm²"),
    }


def _stacked(
    layers: Sequence[LayerRow], series: Mapping[str, tuple[str, list[float]]], unit: str
) -> Figure:
    # Numbers before the names keep layers of the same name apart on the axis.
    names = [f"{i} {escape(layer.name)}" for i, layer in enumerate(layers, 1)]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "y": names,
                "x": values,
                "marker": {"color": f"var({colour})"},
                "hovertemplate": f"%{{y}}<br>{name}: %{{x:.3g}} {unit}<extra></extra>",
                "showlegend": len(series) > 1 and not name.endswith(" 0%"),
            }
            for name, (colour, values) in series.items()
        ],
        "layout": {**_bar_layout(len(layers) + len(series) // 2, unit), "barmode": "stack"},
    }


def _bar_layout(bars: int, unit: str) -> Figure:
    return {
        "height": _FRAME_PIXELS + _BAR_PIXELS * max(bars, 4),
        "bargap": 0.25,
        "xaxis": {"title": {"text": unit}, "rangemode": "tozero"},
        "yaxis": {"autorange": "reversed", "ticks": "outside", "tickcolor": "rgba(0,0,0,0)"},
    }
