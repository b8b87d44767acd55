"""NAS-Bench-201 with accelerators: the surrogate beside classic optimisers.

Column cifar10_test_12ep as the accuracy, 960 accelerators, batches of 5, 10 seeds, no model.
Searching a test column is for the benchmark only; ``validation`` does not. Beside it the
surrogate without what the problem knows of cells (their paths, and what they promise).

    python -m benchmarks.search.nas201 --refresh     runs the searches: about 10 minutes
    python -m benchmarks.search.nas201               prints what is recorded
"""

from __future__ import annotations

from archwright.tabular.bench import Standing
from benchmarks.row import Row
from benchmarks.search.standings import (
    BASELINES,
    RESULTS,
    first_at,
    measure_standings,
    read,
    record,
    refresh_if_asked,
)

COLUMN, OURS = "cifar10_test_12ep", "surrogate"
LABELS = (OURS, *(f"{name}+costing" for name in BASELINES), *BASELINES)
BARE = f"{OURS}, told nothing of cells"
RECORDED = RESULTS / "nas201.csv"
LEVEL, AT = 0.98, 200


def measure() -> list[Row]:
    """Ratios of the true hypervolume, and evaluations to reach what others reach."""
    standings = read(RECORDED)
    ours = standings[OURS]
    rows = [_ratio(label, standing) for label, standing in standings.items()]
    costed = {label: s for label, s in standings.items() if label.endswith("+costing")}
    black = {label: s for label, s in standings.items() if label in BASELINES}
    worst, needed = ours.worst[AT - 1], first_at(ours.median, LEVEL)
    rows.append(
        Row(f"{OURS}: worst of 10 seeds at {AT}", f">= {LEVEL}", f"{worst:.4f}", worst >= LEVEL)
    )
    others = {label: first_at(s.median, LEVEL) for label, s in costed.items()}
    best = min(others, key=lambda label: others[label] or len(ours.median) + 1)
    theirs = others[best] or len(ours.median) + 1
    met = needed is not None and needed <= theirs / 2
    more = "" if others[best] else "more than "
    reached = f"{needed} against {more}{others[best] or len(ours.median)} ({best})"
    rows.append(Row(f"evaluations to {LEVEL}", "at most half of the best +costing", reached, met))
    best = max(black, key=lambda label: black[label].median[AT - 1])
    level = black[best].median[AT - 1]
    needed = first_at(ours.median, float(level))
    met = needed is not None and needed <= AT / 10
    reached = f"{needed} against {AT} ({best}, {level:.4f})"
    rows.append(
        Row(f"evaluations to the best without costing at {AT}", "at most a tenth", reached, met)
    )
    return rows


def _ratio(label: str, standing: Standing) -> Row:
    median = standing.median
    reached = ", ".join(f"{median[n - 1]:.4f}" for n in (20, 50, 100, 200, len(median)))
    asked = ">= 0.98 at 100, >= 0.99 at 200" if label == OURS else ""
    met = bool(median[99] >= 0.98 and median[199] >= 0.99) if label == OURS else None
    return Row(f"{label}: median at 20, 50, 100, 200, {len(median)}", asked, reached, met)


def main() -> None:
    if refresh_if_asked(__doc__ or ""):
        standings = measure_standings(COLUMN, LABELS)
        standings[BARE] = measure_standings(COLUMN, (OURS,), structure=False)[OURS]
        record(standings, RECORDED)
    for row in measure():
        print(f"{row.what}: {row.reached}")


if __name__ == "__main__":
    main()
