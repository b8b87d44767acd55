"""The hierarchy model against ZigZag 3.9.1: energy and cycles, layer by layer.

Both search for the least energy with the same accelerator and mapping files and the same loop
factors; nothing is fitted. ZigZag's results are in tests/data/zigzag_layers.csv, each distinct
layer once; here a layer counts as often as its network has it. They were made by

    PYTHONPATH=. python -m benchmarks.hardware.zigzag_reference

in an environment that has ``zigzag-dse==3.9.1`` and ``six`` (also ``zigzag_agreement --refresh``).

The baseline knows MACs only: MACs x the one constant that has the least median error in the very
group of layers that it is judged by.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from archwright.evaluators.hardware.hierarchy import preset
from archwright.workload import Layer, LayerKind
from benchmarks.hardware.zigzag_reference import ACCELERATORS, HELD_OUT, REFERENCE, refresh
from benchmarks.row import Row

Floats = npt.NDArray[np.float64]
LEAST_SPEARMAN, LARGEST_MEDIAN, LARGEST_P90 = 0.95, 0.20, 0.40
LARGEST_CYCLES_MEDIAN = 0.20
_SIZES = (
    *("in_channels", "out_channels", "in_height", "in_width", "out_height", "out_width"),
    *("kernel", "stride", "dilation"),
)


@dataclass(frozen=True)
class Pair:
    """A layer with what ZigZag and the model say of it; seconds that each took."""

    accelerator: str
    fully_connected: bool
    occurrences: int
    macs: int
    energy: tuple[float, float]
    cycles: tuple[float, float]
    seconds: tuple[float, float]


def measure() -> list[Row]:
    """Convolutions, fully-connected layers and both, on each accelerator."""
    pairs = compare()
    rows: list[Row] = []
    for accelerator in (*ACCELERATORS, *HELD_OUT):
        own = [pair for pair in pairs if pair.accelerator == accelerator]
        fully_connected = [pair for pair in own if pair.fully_connected]
        convolutions = [pair for pair in own if not pair.fully_connected]
        groups = [("convolutions", convolutions), ("fully-connected", fully_connected)]
        if accelerator in HELD_OUT:  # a few layers of each network
            groups = []
        for name, group in (*groups, ("all", own)):
            rows += _rows(f"ZigZag {accelerator}, {name}", group)
    theirs, ours = (sum(pair.seconds[i] for pair in pairs) for i in (0, 1))
    rows.append(
        Row(
            "ZigZag's search / ours, seconds a layer (its own measured with the reference)",
            "printed",
            f"{theirs / len(pairs):.2f} / {ours / len(pairs):.4f} = {theirs / ours:.0f}",
            None,
        )
    )
    return rows


def compare(path: Path = REFERENCE) -> list[Pair]:
    """Every reference row with the model's own result."""
    with path.open(newline="") as file:
        return [_pair(row) for row in csv.DictReader(file)]


def layer_of(row: dict[str, str]) -> Layer:
    """The layer of a reference row."""
    kind = LayerKind(row["kind"])
    groups = 1 if kind is LayerKind.DEPTHWISE else int(row["groups"])
    sizes = {name: int(row[name]) for name in _SIZES}
    return Layer(row["layer"], kind, groups=groups, **sizes)


def _pair(row: dict[str, str]) -> Pair:
    model = preset(row["accelerator"])
    layer = layer_of(row)
    started = time.perf_counter()
    result = model.layer(layer, batch=int(row["batch"]))
    taken = time.perf_counter() - started
    return Pair(
        accelerator=row["accelerator"],
        fully_connected=layer.kind is LayerKind.LINEAR,
        occurrences=int(row["occurrences"]),
        macs=int(row["macs"]),
        energy=(float(row["energy_pj"]), result.energy_pj),
        cycles=(float(row["latency2_cycles"]), result.cycles),
        seconds=(float(row["seconds"]), taken),
    )


def _rows(what: str, pairs: Sequence[Pair]) -> list[Row]:
    macs = _column([pair.macs for pair in pairs], pairs)
    rows = []
    for metric in ("energy", "cycles"):
        theirs, ours = (_column([getattr(p, metric)[i] for p in pairs], pairs) for i in (0, 1))
        spearman, median, p90 = _agreement(theirs, ours)
        ratios = theirs / macs
        constant = min(ratios, key=lambda ratio: np.median(np.abs(ratio / ratios - 1)))
        base = _agreement(theirs, constant * macs)
        if metric == "energy":
            asked = "Spearman >= 0.95, median <= 20%, 90th percentile <= 40%"
            met = spearman >= LEAST_SPEARMAN and median <= LARGEST_MEDIAN and p90 <= LARGEST_P90
        else:
            asked, met = "median <= 20%", median <= LARGEST_CYCLES_MEDIAN
        rows.append(
            Row(
                f"{what}: {metric}, {len(theirs)} layers",
                asked,
                f"{_words(spearman, median, p90)} (MACs only: {_words(*base)})",
                bool(met),
            )
        )
    return rows


def _column(values: Sequence[float], pairs: Sequence[Pair]) -> Floats:
    return np.repeat(np.array(values, dtype=float), [pair.occurrences for pair in pairs])


def _agreement(theirs: Floats, ours: Floats) -> tuple[float, float, float]:
    """Rank correlation, median and 90th percentile of the relative error."""
    errors = np.abs(ours / theirs - 1)
    spearman = float(spearmanr(theirs, ours).statistic)
    return spearman, float(np.median(errors)), float(np.percentile(errors, 90))


def _words(spearman: float, median: float, p90: float) -> str:
    return f"{spearman:.3f}, {median:.2%}, {p90:.2%}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refresh", action="store_true", help="add the rows that are missing")
    if parser.parse_args().refresh:
        refresh()
    for line in measure():
        print(f"{line.what}: {line.reached}")
