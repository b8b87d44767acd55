"""Matrix products on an NVIDIA A100: the roofline platform against measured latencies.

The platform's three parameters (share of the peak, share of the bandwidths, launch
overhead) are calibrated on five of the file's twenty rows: every fourth, from its first,
a rule that looks at no result. The other fifteen are predicted.

Its rows: tests/data/matmul_a100.csv (PrincetonUniversity/LLMCompass, see NOTICE).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware.platforms import MeasuredLatency, Platform, RooflineModel
from archwright.workload import Layer, LayerKind, Workload
from benchmarks.row import Row

DATA = Path(__file__).resolve().parents[2] / "tests" / "data" / "matmul_a100.csv"
CALIBRATION_STEP = 4
ASKED = 0.08
SUBSETS, SEED = 50, 0


def measured_rows(path: Path = DATA) -> list[MeasuredLatency]:
    """The rows of the file, in order, as workloads of one 16-bit matrix product."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            MeasuredLatency(_product(*(int(row[name]) for name in "MNK")), float(row["latency_ms"]))
            for row in csv.DictReader(file)
        ]


def errors(
    platform: Platform, rows: Sequence[MeasuredLatency], calibration: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Relative errors on the rows outside ``calibration``, after calibrating on those in it."""
    if calibration:
        platform = platform.calibrated([rows[i] for i in calibration])
    others = [row for i, row in enumerate(rows) if i not in calibration]
    predicted = RooflineModel(platform).evaluate([row.workload for row in others])["latency_ms"]
    return np.abs(predicted / np.array([row.latency_ms for row in others]) - 1)


def measure() -> list[Row]:
    platform, rows = Platform.load("a100"), measured_rows()
    chosen = list(range(0, len(rows), CALIBRATION_STEP))
    names = ", ".join(rows[i].workload.name for i in chosen)
    fitted = platform.calibrated([rows[i] for i in chosen])
    held_out = errors(platform, rows, chosen)
    subsets = list(combinations(range(len(rows)), len(chosen)))
    drawn = np.random.default_rng(SEED).choice(len(subsets), SUBSETS, replace=False)
    means = [float(errors(platform, rows, subsets[i]).mean()) for i in drawn]
    return [
        Row(
            f"A100 bf16 matmuls, calibrated on {names}: mean error on the other {len(held_out)}",
            f"<= {ASKED:.0%}",
            f"{held_out.mean():.1%} (largest {held_out.max():.1%})",
            bool(held_out.mean() <= ASKED),
        ),
        Row(
            "its parameters: share of the peak, of the bandwidths, launch overhead",
            "",
            f"{fitted.efficiency:.3f}, {fitted.achieved_bandwidth:.3f}, "
            f"{fitted.launch_overhead_us:.1f} us",
            None,
        ),
        Row(
            f"the same, calibrated on five random rows, {SUBSETS} draws: mean (90th percentile)",
            "",
            f"{np.mean(means):.1%} ({np.quantile(means, 0.9):.1%})",
            None,
        ),
        Row(
            "A100 bf16 matmuls by the datasheet, uncalibrated: mean error on all 20",
            "",
            f"{errors(platform, rows, []).mean():.1%}",
            None,
        ),
    ]


def _product(m: int, n: int, k: int) -> Workload:
    """(m x k) times (k x n), in 16 bits: a linear layer applied to m tokens."""
    name = f"{m}x{n}x{k}"
    layer = Layer(name, LayerKind.LINEAR, k, n, m, 1, m, 1)
    return Workload(name, (layer,), bits=16)
