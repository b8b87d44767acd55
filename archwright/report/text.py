"""Numbers and untrusted words as a reader meets them, the same in every file of a report."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from archwright.measurement import METRICS, Measurement
from archwright.space import Point, Value

LONGEST_TEXT = 600
"""Characters of an untrusted text that a report shows; the archive has all of it."""

_UNITS = {"1": "", "uJ": "µJ", "mm2": "mm²", "us": "µs"}
_CHOICE_UNITS = {
    "bits": "bit",
    "kib": "KiB",
    "mhz": "MHz",
    "ghz": "GHz",
    "gb_per_s": "GB/s",
    "percent": "%",
}
_DATAFLOWS = {
    "os": "output-stationary",
    "ws": "weight-stationary",
    "is": "input-stationary",
}
_CHOICE_WORDS = {"dram": "DRAM"}
_METRIC_WORDS = {"macs": "MACs"}
_COMPONENT_WORDS = {"dram": "DRAM", "mac": "MACs"}


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """``text`` on one line, without control characters and without signs that reorder text.

    Texts come from models, data sets and file names; whoever writes the line into a
    format (HTML, Markdown, CSV) still escapes it for that format.
    """
    visible = "".join(
        " " if unicodedata.category(sign) in ("Cc", "Zl", "Zp") else sign
        for sign in text[: 4 * longest]
        if unicodedata.category(sign) not in ("Cf", "Cs")
    )
    line = " ".join(visible.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def number(value: float) -> str:
    """``value`` with three significant digits: 0.0123, 1.50, 12,300, 1.20×10⁻⁵."""
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    mantissa, exponent_text = f"{value:.2e}".split("e")
    exponent = int(exponent_text)
    if -3 <= exponent < 6:
        return f"{float(f'{value:.2e}'):,.{max(0, 2 - exponent)}f}"
    return f"{mantissa}×10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def count(value: float) -> str:
    """A count with three significant digits: 812, 12.3 k, 4.56 M."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{number(value / size)} {prefix}"
    return f"{value:.0f}" if float(value).is_integer() else number(value)


def percent(value: float) -> str:
    """A share as a percentage with three significant digits."""
    return f"{number(100 * value)}%"


def dollars(value: float) -> str:
    """A cost for people: 0 dollars, 0.0123 dollars, 12.35 dollars."""
    return f"{number(value) if value < 1 else f'{value:,.2f}'} dollars"


def unit(name: str) -> str:
    """A unit as it is printed; empty for a plain number."""
    return _UNITS.get(name, name)


def metric_words(metric: str) -> str:
    """A metric's name without its unit: `latency_ms` is "latency"."""
    if metric in _METRIC_WORDS:
        return _METRIC_WORDS[metric]
    known = METRICS.get(metric)
    suffix = f"_{known.unit.lower()}" if known else ""
    return metric.removesuffix(suffix).replace("_", " ")


def component_words(component: str) -> str:
    """The name of a component, a resource or a part of a run, as printed."""
    return clean(_COMPONENT_WORDS.get(component, component), 40).replace("_", " ")


def metric_value(metric: str, value: float) -> str:
    """A value with its unit, as a metric is read: 97.3%, 0.210 ms, 12.3 k."""
    if metric == "accuracy":
        return percent(value)
    known = METRICS.get(metric)
    printed = unit(known.unit) if known else ""
    return f"{number(value)} {printed}" if printed else count(value)


def interval(measurement: Measurement) -> str:
    """The 95% interval, "96.1 to 98.2%", or nothing where the value is exact."""
    low, high = measurement.low, measurement.high
    if low == high:
        return ""
    if measurement.metric == "accuracy":
        return f"{number(100 * low)} to {number(100 * high)}%"
    return f"{number(low)} to {metric_value(measurement.metric, high)}"


def duration(seconds: float) -> str:
    """A time for people: 0.210 s, 42 s, 4 min 2 s, 3 h 5 min."""
    if seconds < 10:
        return f"{number(seconds)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    items = list(words)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def in_words(point: Point) -> str:
    """A network or a hardware in words: "16 × 8 array, weight-stationary, 400 MHz clock".

    Choices that differ in a number only ("kernel_1", "kernel_2") are told together, and
    so are buffers: "kernel 3/5", "buffers input/weight 2/16 KiB".
    """
    rest = dict(point)
    parts = []
    if "rows" in rest and "columns" in rest:
        parts.append(f"{rest.pop('rows')} × {rest.pop('columns')} array")
    if rest.get("dataflow") in _DATAFLOWS:
        parts.append(_DATAFLOWS[str(rest.pop("dataflow"))])
    buffers = {name: rest.pop(name) for name in point if name.endswith("_buffer_kib")}
    if buffers:
        names = "/".join(name.removesuffix("_buffer_kib") for name in buffers)
        parts.append(f"buffers {names} {'/'.join(_shown(b) for b in buffers.values())} KiB")
    together: dict[str, list[str]] = {}
    for name, value in rest.items():
        together.setdefault(re.sub(r"_?\d+", "", name), []).append(_shown(value))
    for name, values in together.items():
        words, printed = name, ""
        for suffix, words_of_unit in _CHOICE_UNITS.items():
            if name == suffix or name.endswith(f"_{suffix}"):
                words, printed = name.removesuffix(suffix).rstrip("_"), f" {words_of_unit}"
        words = _CHOICE_WORDS.get(words, words.replace("_", " "))
        parts.append(clean(f"{words} {'/'.join(values)}{printed}"))
    return ", ".join(parts)


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else clean(str(value), 40)
