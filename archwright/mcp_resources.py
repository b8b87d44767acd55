"""What an assistant reads over the Model Context Protocol: runs, reports, design cards.

A resource is found through the registry and is one of few fixed files in a run's folder:
nothing in its address is ever a path.
"""

from __future__ import annotations

import json
import re

import mcp_types as types

from archwright.errors import ArchwrightError, RunError, shown
from archwright.memory.registry import RunEntry
from archwright.tools.archived import ShownMetric
from archwright.tools.desk import Desk
from archwright.tools.fronts import ExplainedDesign, explain_design

RUNS = "archwright://runs"
MOST_LISTED = 50
LARGEST_REPORT_BYTES = 4_000_000

_ADDRESS = re.compile(
    r"archwright://runs(?:/(?P<run>[A-Za-z0-9][A-Za-z0-9_-]{0,63})"
    r"(?:/(?P<report>report)|/designs/(?P<design>[0-9a-f]{4,16}))?)?"
)
_JSON, _MARKDOWN = "application/json", "text/markdown"


def list_templates() -> list[types.ResourceTemplate]:
    """The addresses that resources have."""
    return [
        types.ResourceTemplate(
            name=name, uri_template=f"{RUNS}/{rest}", description=description, mime_type=kind
        )
        for name, rest, description, kind in (
            ("run", "{run}", "how a run stands", _JSON),
            ("report", "{run}/report", "a finished run's report", _MARKDOWN),
            ("design", "{run}/designs/{key}", "a card of one design", _MARKDOWN),
        )
    ]


def list_resources(desk: Desk) -> list[types.Resource]:
    """The list of runs, and the latest runs with their reports."""
    found = [types.Resource(name="runs", uri=RUNS, description="every run", mime_type=_JSON)]
    for entry in _latest(desk):
        address = f"{RUNS}/{entry.run}"
        found.append(
            types.Resource(
                name=entry.run, uri=address, description="how the run stands", mime_type=_JSON
            )
        )
        if (entry.folder / "report.md").is_file():
            found.append(
                types.Resource(
                    name=f"{entry.run} report",
                    uri=f"{address}/report",
                    description="the run's report",
                    mime_type=_MARKDOWN,
                )
            )
    return found


def read_resource(uri: str, desk: Desk) -> types.TextResourceContents:
    """A resource's text. Raises :class:`ArchwrightError`, one line, where there is none."""
    address = _ADDRESS.fullmatch(uri)
    if address is None:
        known = ", ".join([RUNS, *(template.uri_template for template in list_templates())])
        raise RunError(f"uri = {shown(uri)}: no such resource; allowed {known}")
    run, design = address["run"], address["design"]
    if run is None:
        text, kind = json.dumps([_row(entry, desk) for entry in _latest(desk)]), _JSON
    elif design is not None:
        explained = explain_design.call({"run": run, "design": design}, desk)
        text, kind = design_card(explained), _MARKDOWN
    elif address["report"] is not None:
        text, kind = _report(desk.registry.find(run)), _MARKDOWN
    else:
        text, kind = desk.runs.status(run).model_dump_json(), _JSON
    return types.TextResourceContents(uri=uri, text=text, mime_type=kind)


def design_card(explained: ExplainedDesign) -> str:
    """A design on one page of Markdown: its choices, numbers, layers and origin."""
    from archwright.report.markdown import escaped
    from archwright.report.text import in_words, number, percent

    design = explained.design
    origin = [f"Proposed by {escaped(design.proposer)}: {escaped(design.reason)}"]
    if design.parents:
        origin.append(f"Parents: {escaped(', '.join(design.parents))}")
    if design.recalled:
        origin.append(f"Recalled designs: {escaped(', '.join(design.recalled))}")
    layers = [
        f"| {escaped(layer.name)} | {layer.cycles:,} | {number(layer.latency_us)} "
        f"| {number(layer.energy_uj)} | {percent(layer.utilisation)} | {escaped(layer.bound)} |"
        for layer in explained.layers
    ]
    return "\n\n".join(
        [
            f"# Design {design.key}",
            f"Network: {escaped(in_words(design.network))}",
            f"Hardware: {escaped(in_words(design.hardware))}",
            "\n".join(
                [
                    "| metric | value | 95% interval | fidelity |",
                    "|---|---|---|---|",
                    *(_metric_row(name, metric) for name, metric in design.metrics.items()),
                ]
            ),
            f"Bottleneck: {escaped(explained.bottleneck)}.",
            "\n".join(
                [
                    "| layer | cycles | time, µs | energy, µJ | utilisation | bound by |",
                    "|---|---|---|---|---|---|",
                    *layers,
                ]
            ),
            *origin,
            f"Evidence: {escaped(explained.evidence)}",
        ]
    )


def _metric_row(name: str, metric: ShownMetric) -> str:
    """One metric of a card; nothing as the interval of an exact value."""
    from archwright.report.text import metric_value

    plain = "accuracy" if name.startswith("accuracy") else name
    words = [metric_value(plain, value) for value in (metric.value, metric.low, metric.high)]
    interval = "" if metric.low == metric.high else f"{words[1]} to {words[2]}"
    return f"| {name} | {words[0]} | {interval} | {metric.fidelity} |"


def _latest(desk: Desk) -> list[RunEntry]:
    """The latest runs, newest first."""
    return desk.registry.list()[-MOST_LISTED:][::-1]


def _row(entry: RunEntry, desk: Desk) -> dict[str, str]:
    """A run in the list of runs. What the registry says, where the run itself cannot be read."""
    try:
        status = desk.runs.status(entry.run).status
    except ArchwrightError:
        status = entry.status.value
    return {"run": entry.run, "name": entry.name, "status": status, "created": entry.created}


def _report(entry: RunEntry) -> str:
    report = entry.folder / "report.md"
    if not report.is_file():
        raise RunError(f"run {entry.run}: has no report yet; status is {entry.status.value}")
    with report.open("rb") as file:
        return file.read(LARGEST_REPORT_BYTES).decode("utf-8", errors="replace")
