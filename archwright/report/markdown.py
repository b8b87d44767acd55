"""report.md: the page's story as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import tomli_w

from archwright.report import story, text, views
from archwright.report.layers import layer_row
from archwright.report.promoted import promoted_table
from archwright.result import RunResult

MOST_FRONT_ROWS = 200
MOST_EVIDENCE_ROWS = 100
MOST_LIST_ITEMS = 50

# Signs with a meaning in CommonMark, in GitHub's tables and mathematics, or in HTML.
_SIGNS = re.compile(r"[\\`*_{}\[\]<>#|~!&$@^]")
_LINK_STARTS = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)
_LINE_STARTS = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-+=])")


def write_markdown(result: RunResult, path: Path) -> None:
    """Write the report of ``result`` as GitHub-flavoured Markdown to ``path``."""
    path.write_text(render_markdown(result), encoding="utf-8", newline="\n")


def render_markdown(result: RunResult) -> str:
    """The report as text."""
    parts = [
        _opening(result),
        _chosen(result),
        _promoted(result),
        _front(result),
        _search(result),
        _layers(result),
        _process(result),
        _brief(result),
        _evidence(result),
        _again(result),
    ]
    return "\n\n".join(block for part in parts for block in part) + "\n"


def escaped(untrusted: str) -> str:
    """``untrusted`` as one line that Markdown shows as it is: no links, tags or tables."""
    line = _SIGNS.sub(r"\\\g<0>", text.clean(untrusted))
    line = _LINK_STARTS.sub(r"\\\g<0>", line)
    return _LINE_STARTS.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", line)


def _opening(result: RunResult) -> list[str]:
    return [
        f"# {escaped(result.brief.name)}",
        f"Archwright report, run {escaped(result.run)}, {escaped(result.created)}",
        f"{escaped(story.asked(result.brief))} **{escaped(story.found(result))}** "
        f"{escaped(story.spent(result))}",
    ]


def _chosen(result: RunResult) -> list[str]:
    best = result.best
    if best is None:
        paragraphs = [escaped(paragraph) for paragraph in story.nothing_found(result)]
        return ["## No feasible design", *paragraphs]
    test = (
        f"{story.accuracy_words(best.accuracy_test)}, {story.test_meaning(result)}"
        if best.accuracy_test
        else story.TEST_MISSING
    )
    validation = story.accuracy_words(best.accuracy_validation)
    facts = [
        ("Test accuracy", test),
        ("Validation accuracy", f"{validation}, {story.validation_meaning(result)}"),
        *(
            (tile.heading.capitalize() if tile.heading.islower() else tile.heading, _tile(tile))
            for tile in views.tiles(result, best)
        ),
        ("Network", text.in_words(best.design.network)),
        ("Hardware", text.in_words(best.design.hardware)),
        ("Proposed by", story.proposed_by(best)),
        ("Key", best.design.key),
    ]
    return [
        "## Chosen design",
        escaped(result.why_best),
        *_explained(result),
        "\n".join(f"- **{name}**: {escaped(value)}" for name, value in facts),
    ]


def _explained(result: RunResult) -> list[str]:
    words, whose = story.explained(result)
    return [f"> {escaped(words)}\n>\n> {escaped(whose)}"] if words else []


def _tile(tile: views.Tile) -> str:
    if not tile.limit:
        return tile.value
    return f"{tile.value} ({tile.limit}: {'met' if tile.held else 'not met'})"


def _promoted(result: RunResult) -> list[str]:
    table = promoted_table(result)
    if table is None:
        return []
    rows = [[escaped(cell) for cell in row] for row in table.rows]
    numbers = range(2, len(table.heading))
    return ["## Promoted designs", escaped(table.meaning), _table(table.heading, rows, numbers)]


def _front(result: RunResult) -> list[str]:
    if not result.front:
        return ["## The front", "The front is empty: no evaluated design is feasible."]
    columns = views.columns(result)
    rows = views.front_rows(result, columns)[:MOST_FRONT_ROWS]
    heading = ["design", *(column.label for column in columns)]
    heading += ["network", "hardware", "proposed by", "reason", "step"]
    cells = [
        [
            f"**{row.key[:8]}** (chosen)" if row.chosen else row.key[:8],
            *(f"{c.text} ({c.interval})" if c.interval else c.text for c in row.cells),
            *(escaped(words) for words in (row.network, row.hardware, row.proposer, row.reason)),
            str(row.step),
        ]
        for row in rows
    ]
    left = len(result.front) - len(rows)
    note = f" The table shows {len(rows)}; front.csv has all {len(result.front)}." if left else ""
    return [
        "## The front",
        f"Objectives: {text.listed(text.metric_words(m) for m in result.brief.objectives)}. "
        f"In brackets: 95% intervals.{note}",
        _table(heading, cells, numbers=range(1, 1 + len(columns))),
    ]


def _search(result: RunResult) -> list[str]:
    blocks = ["## The search", escaped(story.against_random(result)), story.CURVE_MEANING]
    if result.seconds_by_part:
        parts = [
            [escaped(text.component_words(p)), text.duration(s)]
            for p, s in result.seconds_by_part.items()
        ]
        blocks.append(_table(["part", "time"], parts, numbers=(1,)))
    return blocks


def _layers(result: RunResult) -> list[str]:
    if result.inspection is None or not result.inspection.layers:
        return []
    layers = [layer_row(cost) for cost in result.inspection.layers]
    rows = [
        [
            escaped(layer.name),
            escaped(layer.bound),
            text.number(layer.time_us),
            text.number(layer.stall_us),
            text.percent(layer.utilisation),
            text.number(layer.total_energy_uj),
            text.number(layer.dram_bytes / 1024),
        ]
        for layer in layers
    ]
    heading = ["layer", "bound by", "time, µs", "waiting, µs", "utilisation", "energy, µJ"]
    return [
        "## The chosen design, layer by layer",
        escaped(story.bottleneck(layers)),
        _table([*heading, "DRAM, KiB"], rows, numbers=range(2, 7)),
        _parts("energy, µJ", story.energy_parts(layers)),
        _parts("area, mm²", result.inspection.area),
    ]


def _parts(heading: str, parts: Mapping[str, float]) -> str:
    whole = sum(parts.values())
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    rows = [
        [
            escaped(text.component_words(n)),
            text.number(v),
            text.percent(v / whole) if whole else "–",
        ]
        for n, v in ordered
    ]
    return _table(["component", heading, "share"], rows, numbers=(1, 2))


def _process(result: RunResult) -> list[str]:
    rejections = sorted(result.rejections, key=lambda rejection: -rejection.count)
    turned_away = [
        [f"{r.count:,}", escaped(r.reason), escaped(story.design_words(r.example))]
        for r in rejections[:MOST_LIST_ITEMS]
    ]
    failed = [
        [escaped(f.subject), escaped(f.evaluator), escaped(f.reason)]
        for f in result.failures[:MOST_LIST_ITEMS]
    ]
    decided = [
        [str(d.step), *(escaped(words) for words in (d.role, d.mind, d.decision, d.reason))]
        for d in result.decisions[:MOST_LIST_ITEMS]
    ]
    recalled = ", ".join(escaped(key) for key in result.recalled[:MOST_LIST_ITEMS])
    return [
        "## How the search went",
        f"Stopped: {escaped(result.stopped)}. {escaped(story.models(result))}",
        *_models(result),
        "### What the critic turned away",
        _table(["times", "reason", "for example"], turned_away, numbers=(0,))
        if turned_away
        else "Nothing was turned away.",
        *_left(len(rejections)),
        "### Failures",
        _table(["subject", "evaluator", "reason"], failed) if failed else "No measurement failed.",
        *_left(len(result.failures)),
        "### Decisions",
        _table(["step", "role", "mind", "decision", "reason"], decided, numbers=(0,))
        if decided
        else "No decision was recorded.",
        *_left(len(result.decisions)),
        "### Lessons",
        "\n".join(f"- {escaped(lesson)}" for lesson in result.lessons[:MOST_LIST_ITEMS])
        or "No lesson was drawn.",
        *_left(len(result.lessons)),
        "### Recalled designs",
        recalled or "None: the memory held no similar design.",
        *_left(len(result.recalled)),
    ]


def _models(result: RunResult) -> list[str]:
    """What each role asked of its model, where one was asked."""
    rows = [[escaped(cell) for cell in row] for row in story.model_table(result)]
    if not rows:
        return []
    table = _table(story.MODEL_TABLE_HEADING, rows, numbers=range(2, 9))
    return ["### Language models", story.MODEL_TABLE_MEANING, table]


def _left(items: int) -> list[str]:
    """A note on what a bounded list leaves out."""
    left = items - MOST_LIST_ITEMS
    return [f"{left:,} more are in archive.db."] if left > 0 else []


def _brief(result: RunResult) -> list[str]:
    toml = tomli_w.dumps(result.brief.model_dump(mode="json", exclude_none=True)).strip()
    return ["## The brief", _fenced(toml, "toml")]


def _fenced(code: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def _evidence(result: RunResult) -> list[str]:
    found = views.evidence(result)
    rows = [
        [
            row.what,
            escaped(m.subject),
            f"{m.value:.6g}",
            text.unit(m.unit) or "–",
            "exact" if m.low == m.high else f"{m.low:.4g} to {m.high:.4g}",
            escaped(m.evaluator),
            escaped(m.version),
            m.fidelity.value,
            escaped(m.context),
            text.number(m.seconds),
        ]
        for row in islice(found, MOST_EVIDENCE_ROWS)
        for m in (row.measurement,)
    ]
    left = sum(1 for _ in found)
    if not rows:
        return ["## Evidence", "There is no design, hence no measurement behind one."]
    heading = ["metric", "subject", "value", "unit", "95% interval", "evaluator", "version"]
    return [
        "## Evidence",
        "The measurement behind each number of the front, the chosen design's first. "
        f"{len(rows)} are shown here{f'; {left:,} more are in archive.db' if left else ''}.",
        _table([*heading, "fidelity", "context", "seconds"], rows, numbers=(2, 9)),
    ]


def _again(result: RunResult) -> list[str]:
    return [
        "## Reproduce",
        "In the run's folder, which holds brief.toml:",
        _fenced("\n".join(story.reproduce(result)), "sh"),
    ]


def _table(
    heading: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()
) -> str:
    """A table; the columns ``numbers`` are set to the right. Cells are escaped already."""
    right = set(numbers)
    rule = ["---:" if i in right else "---" for i in range(len(heading))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, rule, *rows))
