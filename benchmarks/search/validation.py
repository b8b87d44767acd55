"""The same search on validation accuracies: what was chosen, after 200 epochs on the test images.

Strategies see cifar10_val_12ep only. Reported is the share of the true hypervolume of
cifar10_test_200ep that the designs of the last front have.

    python -m benchmarks.search.validation --refresh     runs the searches
    python -m benchmarks.search.validation               prints what is recorded
"""

from __future__ import annotations

from benchmarks.row import Row
from benchmarks.search.standings import (
    EVALUATIONS,
    RESULTS,
    measure_standings,
    read,
    record,
    refresh_if_asked,
)

SEARCHED, REPORTED = "cifar10_val_12ep", "cifar10_test_200ep"
LABELS = ("surrogate", "random+costing", "evolution+costing", "nsga2:20+costing", "tpe+costing")
RECORDED = RESULTS / "validation.csv"


def measure() -> list[Row]:
    """What each strategy reached on the column it saw, and on the one that it did not."""
    rows = []
    for label, s in read(RECORDED).items():
        seen = ", ".join(f"{s.median[n - 1]:.4f}" for n in (100, 200, EVALUATIONS))
        unseen = f"{s.reported_median:.4f} (worst {s.reported_worst:.4f})"
        reached = f"{seen}; its front on {REPORTED}: {unseen}"
        rows.append(Row(f"{label}: {SEARCHED} at 100, 200, {EVALUATIONS}", "", reached, None))
    return rows


def main() -> None:
    if refresh_if_asked(__doc__ or ""):
        record(measure_standings(SEARCHED, LABELS, REPORTED), RECORDED)
    for row in measure():
        print(f"{row.what}: {row.reached}")


if __name__ == "__main__":
    main()
