"""The curves of a comparison as one file that opens offline: HTML by plotly, or plain SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from archwright.errors import UserError, shown
from archwright.front import Floats
from archwright.tabular.bench import Standing

SUFFIXES = (".html", ".svg")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
"""Told apart by colour-blind eyes (Wong 2011, Nature Methods 8, 441), and one more."""
X_TITLE, Y_TITLE = "evaluations", "share of the true hypervolume"

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 64, 230, 40, 52


def check_plot_path(path: Path) -> None:
    """Raise :class:`UserError`, one line, where a plot could not be written in the end."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"--plot = {shown(str(path))}: allowed names in {' and '.join(SUFFIXES)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"--plot = {shown(str(path))}: no folder {path.absolute().parent}")


def write_plot(path: Path, title: str, standings: Mapping[str, Standing]) -> None:
    """The median (solid) and the worst (dashed) of each strategy against evaluations."""
    text = as_svg(title, standings) if path.suffix.lower() == ".svg" else as_html(title, standings)
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def as_html(title: str, standings: Mapping[str, Standing]) -> str:
    """A page that holds plotly.js itself; the band reaches from the worst to the median."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for k, (label, standing) in enumerate(standings.items()):
        colour, x = _colour(k), list(range(1, len(standing.median) + 1))
        common = {"x": x, "legendgroup": label, "mode": "lines"}
        figure.add_trace(
            go.Scatter(
                **common,
                y=standing.worst.tolist(),
                name=f"{escape(label)}, worst",
                line={"color": colour, "dash": "dash", "width": 1},
                showlegend=False,
            )
        )
        figure.add_trace(
            go.Scatter(
                **common,
                y=standing.median.tolist(),
                name=escape(label),
                line={"color": colour, "width": 2},
                fill="tonexty",
                fillcolor=f"{colour}1f",
            )
        )
    figure.update_layout(
        title=escape(title),
        xaxis_title=X_TITLE,
        yaxis_title=f"{Y_TITLE} (solid: median, dashed: worst)",
        template="plotly_white",
    )
    page = figure.to_html(include_plotlyjs=True, full_html=True, div_id="plot")
    return str(page)


def as_svg(title: str, standings: Mapping[str, Standing]) -> str:
    """The same as a picture without any script."""
    low = _low(standings)
    evaluations = max(len(standing.median) for standing in standings.values())
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(number: float, share: float) -> str:
        x = LEFT + (right - LEFT) * (number - 1) / max(evaluations - 1, 1)
        y = bottom - (bottom - TOP) * (share - low) / (1.0 - low)
        return f"{x:.1f},{y:.1f}"

    def line(values: Floats, colour: str, style: str) -> str:
        points = " ".join(at(n, value) for n, value in enumerate(values.tolist(), 1))
        shape = f'clip-path="url(#frame)" fill="none" stroke="{colour}"'
        return f'<polyline {shape} {style} points="{points}"/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<clipPath id="frame"><rect x="{LEFT}" y="{TOP - 2}" width="{right - LEFT + 2}" '
        f'height="{bottom - TOP + 2}"/></clipPath>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{X_TITLE}</text>',
        f'<text transform="translate(16 {(TOP + bottom) / 2}) rotate(-90)" '
        f'text-anchor="middle">{Y_TITLE}</text>',
    ]
    for k in range(6):
        share = low + (1.0 - low) * k / 5
        y = at(1, share).split(",")[1]
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" dy="4" text-anchor="end">{share:.2f}</text>')
    for number in sorted({1, *(round(evaluations * k / 4) for k in range(1, 5))} - {0}):
        x = at(number, low).split(",")[0]
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{number}</text>')
    for k, (label, standing) in enumerate(standings.items()):
        colour, place = _colour(k), TOP + 20 * k
        parts.append(line(standing.worst, colour, 'stroke-dasharray="5 4"'))
        parts.append(line(standing.median, colour, 'stroke-width="2"'))
        parts.append(f'<path d="M{right + 16} {place}h22" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{right + 44}" y="{place}" dy="4">{escape(label)}</text>')
    place = TOP + 20 * len(standings) + 8
    parts.append(
        f'<text x="{right + 16}" y="{place}" fill="#555555">solid: median of the seeds</text>'
    )
    parts.append(f'<text x="{right + 16}" y="{place + 18}" fill="#555555">dashed: the worst</text>')
    return "\n".join([*parts, "</svg>", ""])


def _low(standings: Mapping[str, Standing]) -> float:
    """Where the picture's axis begins: below the worst of the second half of the searches."""
    lowest = min(float(s.worst[len(s.worst) // 2 :].min()) for s in standings.values())
    return min(max(0.0, int((lowest - 0.1) * 10) / 10), 0.9)


def _colour(k: int) -> str:
    return COLOURS[k % len(COLOURS)]
