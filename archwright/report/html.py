"""report.html: one file that opens offline and answers first.

The page loads nothing. Its Content-Security-Policy forbids every network access and
every script but the ones written here (by their hashes), so that a text from a model
or a data set could not run even if an escape were missing; templates escape anyway.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from archwright.report import figures, story, text, views
from archwright.report.layers import layer_row
from archwright.report.promoted import promoted_table
from archwright.result import RunResult

MOST_FRONT_ROWS = 1000
MOST_EVIDENCE_ROWS = 400
MOST_LIST_ITEMS = 200
_TEMPLATES = Path(__file__).parent / "templates"


def write_html(result: RunResult, path: Path) -> None:
    """Write the report of ``result`` as one self-contained page to ``path``."""
    path.write_text(render_html(result), encoding="utf-8", newline="\n")


def render_html(result: RunResult) -> str:
    """The page as text."""
    # What is marked as safe are this package's own files and plotly's, nothing from a run.
    scripts = {"plotly": _plotly_js(), "page": _template_text("report.js")}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            **_contents(result),
            style=Markup(_template_text("report.css")),
            scripts={name: Markup(script) for name, script in scripts.items()},
            script_hashes=[_csp_hash(script) for script in scripts.values()],
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "clean": text.clean,
        "number": text.number,
        "count": text.count,
        "percent": text.percent,
        "duration": text.duration,
        "unit": text.unit,
        "design_words": story.design_words,
        "accuracy_words": story.accuracy_words,
        "component_words": text.component_words,
    }
    environment.filters.update(filters)
    return environment


def _contents(result: RunResult) -> dict[str, Any]:
    """What the template names, in the order of the page."""
    columns = views.columns(result)
    rows = views.front_rows(result, columns)[:MOST_FRONT_ROWS]
    evidence = views.evidence(result)
    inspection = result.inspection
    layers = [layer_row(cost) for cost in inspection.layers] if inspection else []
    plots: dict[str, Any] = {"curve": figures.curve(result)}
    if len(rows) > 1:
        plots["front"] = figures.front_data(columns, rows)
    if inspection is not None and layers:
        plots["time"] = figures.time_by_layer(layers)
        plots["energy"] = figures.energy_by_layer(layers)
        plots["utilisation"] = figures.utilisation_by_layer(layers)
        plots["area"] = figures.area_by_component(inspection.area)
    return {
        "result": result,
        "story": story,
        "text_interval": text.interval,
        "words": text.in_words,
        "best": result.best,
        "tiles": views.tiles(result, result.best) if result.best else [],
        "promoted": promoted_table(result),
        "columns": columns,
        "rows": rows,
        "layers": layers,
        "area": inspection.area if inspection else {},
        "rejections": sorted(result.rejections, key=lambda r: -r.count),
        "most": MOST_LIST_ITEMS,
        "brief_toml": tomli_w.dumps(result.brief.model_dump(mode="json", exclude_none=True)),
        "evidence": list(islice(evidence, MOST_EVIDENCE_ROWS)),
        "evidence_left": sum(1 for _ in evidence),
        "plots": plots,
    }


def _template_text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _plotly_js() -> str:
    """plotly.js from the installed package, fit to stand in a script element."""
    from plotly.offline import get_plotlyjs

    # HTML reads CR and CR LF as LF before it hashes, and ends a script at its end tag.
    script = str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n")
    return script.replace("</script", "<\\/script")


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
