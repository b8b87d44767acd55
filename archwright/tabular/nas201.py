"""NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326) crossed with a space of accelerators.

A cell has four nodes; each of its six edges carries one of five operations. The network
is the paper's for CIFAR-10: a stem, three stages of five cells with 16, 32 and 64 channels,
residual reductions between them, pooling and a classifier. Every operation is costed as
written, also where its result reaches no output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from archwright.agents.costing import Columns, Costing
from archwright.agents.problem import Problem
from archwright.agents.strategies.common import network_keys
from archwright.brief import Constraint
from archwright.errors import DataError, shown
from archwright.front import Bound, Score
from archwright.space import Choice, Indices, Point, Space
from archwright.tabular.listed import ListedSpace
from archwright.tabular.problem import TabularProblem
from archwright.tabular.table import Table
from archwright.workload import Layer, LayerKind, Workload

Floats = npt.NDArray[np.float64]

OPERATIONS = ("none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Of the cell string, in its order: from which node to which."""
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""From the input to the output, as positions among the edges."""
CELLS, CHANNELS, SIDE, CLASSES = 5, (16, 32, 64), 32, 10

ABOUT = (
    "Networks classify CIFAR-10 (images of 32 x 32 pixels, 10 classes): a stem, then three "
    "stages of five equal cells with 16, 32 and 64 channels, residual reductions between them, "
    "pooling, a classifier. The cell is what is chosen. It has four nodes: 0 is its input, 3 its "
    "output, and a node is the sum of its incoming edges. Each edge carries an operation: none "
    "(there is no edge), skip_connect (identity), avg_pool_3x3, or a convolution with ReLU and "
    "batch norm, nor_conv_1x1 or nor_conv_3x3. What lies on no path from node 0 to node 3 costs "
    "and does nothing."
)
CLOCK_MHZ, BITS, BUFFERS = 200, 8, 3
COSTS_COMPARED = ("latency_ms", "area_mm2")
AT_ONCE = 256
CELL = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


def cell_space() -> Space:
    """The 15,625 cells: an operation for each edge."""
    return Space(
        "nas201",
        tuple(
            Choice(
                f"edge_{source}_{target}", OPERATIONS, f"operation from node {source} to {target}"
            )
            for source, target in EDGES
        ),
    )


def accelerator_space() -> Space:
    """960 accelerators at 200 MHz and 8 bits; the buffer is split equally in three."""
    sides = (8, 16, 32, 64)
    return Space(
        "nas201 accelerators",
        (
            Choice("rows", sides, "rows of the array"),
            Choice("columns", sides, "columns of the array"),
            Choice("dataflow", ("os", "ws", "is"), "what stays in the array"),
            Choice("buffer_kib", (32, 64, 128, 256, 512), "all three buffers", "KiB"),
            Choice("bytes_per_cycle", (4, 8, 16, 32), "bandwidth of the DRAM", "bytes"),
        ),
    )


def parameters_of(columns: Columns) -> Columns:
    """The accelerators' columns as those of the analytical model."""
    share = np.asarray(columns["buffer_kib"], np.float64) / BUFFERS
    bandwidth = np.asarray(columns["bytes_per_cycle"], np.float64) * CLOCK_MHZ / 1000
    return {
        **{name: columns[name] for name in ("rows", "columns", "dataflow")},
        **{f"{name}_buffer_kib": share for name in ("input", "weight", "output")},
        "dram_gb_per_s": bandwidth,
        "clock_mhz": np.full(len(share), CLOCK_MHZ),
        "bits": np.full(len(share), BITS),
    }


def parse_cell(text: str) -> dict[str, str]:
    """A cell string as a point of :func:`cell_space`. Raises ValueError for any other text."""
    match = CELL.fullmatch(text)
    if match is None or not set(match.groups()) <= set(OPERATIONS):
        raise ValueError("no NAS-Bench-201 cell such as |nor_conv_3x3~0|+|none~0|...|")
    return dict(zip(cell_space().names, match.groups(), strict=True))


def workload_of(point: Point) -> Workload:
    """The whole network of a cell: stem, cells, reductions, pooling, classifier."""
    cell = tuple(str(point[f"edge_{source}_{target}"]) for source, target in EDGES)
    layers = [_convolution("stem", 3, CHANNELS[0], SIDE, 3)]
    side = SIDE
    for stage, channels in enumerate(CHANNELS):
        if stage:
            layers += _reduction(f"reduce{stage}", channels, side)
            side //= 2
        for k in range(CELLS):
            layers += _cell(f"stage{stage}.cell{k}", cell, channels, side)
    last = CHANNELS[-1]
    layers += [
        Layer("pool", LayerKind.POOLING, last, last, side, side, 1, 1, kernel=side),
        Layer("classifier", LayerKind.LINEAR, last, CLASSES, 1, 1, 1, 1, bias=True),
    ]
    return Workload("nas201", tuple(layers), BITS)


@cache
def _convolution(
    name: str, channels: int, filters: int, side: int, kernel: int, stride: int = 1
) -> Layer:
    out = side // stride
    kind = LayerKind.CONVOLUTION
    return Layer(name, kind, channels, filters, side, side, out, out, kernel, stride)


def _cell(name: str, cell: tuple[str, ...], channels: int, side: int) -> list[Layer]:
    """The layers of one cell; where edges meet in a node their tensors are added."""
    layers: list[Layer] = []
    for (source, target), operation in zip(EDGES, cell, strict=True):
        edge = f"{name}.{source}_{target}"
        if operation.startswith("nor_conv"):
            layers.append(_convolution(edge, channels, channels, side, int(operation[-1])))
        elif operation.startswith("avg_pool"):
            layers.append(_averaging(edge, channels, side))
    for node in (1, 2, 3):
        into = [o for (_, t), o in zip(EDGES, cell, strict=True) if t == node and o != "none"]
        if len(into) > 1:
            layers.append(_addition(f"{name}.node{node}", channels, side, len(into)))
    return layers


@cache
def _averaging(name: str, channels: int, side: int) -> Layer:
    return Layer(name, LayerKind.POOLING, channels, channels, side, side, side, side, 3)


def _reduction(name: str, channels: int, side: int) -> list[Layer]:
    """A basic residual block with stride 2, its shortcut pooled and projected."""
    before, half = channels // 2, side // 2
    return [
        _convolution(f"{name}.a", before, channels, side, 3, 2),
        _convolution(f"{name}.b", channels, channels, half, 3),
        Layer(f"{name}.pool", LayerKind.POOLING, before, before, side, side, half, half, 2, 2),
        _convolution(f"{name}.shortcut", before, channels, half, 1),
        _addition(f"{name}.sum", channels, half, 2),
    ]


@cache
def _addition(name: str, channels: int, side: int, operands: int) -> Layer:
    kind = LayerKind.ELEMENTWISE
    return Layer(name, kind, channels, channels, side, side, side, side, operands=operands)


class CellFeatures:
    """What a regression sees of cells: operations, paths, and sizes of what is connected.

    The path encoding (White et al. 2021, BANANAS, arXiv 1910.11858): how many paths from
    the input to the output apply each sequence of operations. Identities are left out of a
    sequence and a path with "none" does not exist, so that equal computations look alike.
    """

    def __init__(self) -> None:
        self._space = cell_space()
        worked = OPERATIONS[2:]
        sequences = [s for length in range(4) for s in product(worked, repeat=length)]
        self._column = {sequence: k for k, sequence in enumerate(sequences)}
        self.groups: tuple[str, ...] = (
            *("operations" for _ in range(len(EDGES) * len(OPERATIONS))),
            *("paths" for _ in sequences),
            *("sizes" for _ in range(4)),
        )

    def __call__(self, points: Sequence[Point]) -> Floats:
        """Shape (networks, columns)."""
        rows = self._space.encode(points)
        operations = (rows[:, :, None] == np.arange(len(OPERATIONS))).reshape(len(rows), -1)
        return np.array(
            [[*one, *self._of(tuple(row))] for one, row in zip(operations, rows, strict=True)],
            np.float64,
        ).reshape(len(rows), len(self.groups))

    def _of(self, row: tuple[int, ...]) -> list[float]:
        counts = [0.0] * len(self._column)
        depths = [0]
        for path in live_paths(row):
            sequence = tuple(OPERATIONS[row[edge]] for edge in path)
            counts[self._column[tuple(o for o in sequence if o != "skip_connect")]] += 1
            depths.append(sum(o.startswith("nor_conv") for o in sequence))
        small, large = live_convolutions(row)
        return [*counts, small, large, np.log2(1 + small + 9 * large), max(depths)]


def live_paths(row: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The paths of :data:`PATHS` without "none", of a cell as indices."""
    return [path for path in PATHS if all(row[edge] != 0 for edge in path)]


def live_convolutions(row: tuple[int, ...]) -> tuple[int, int]:
    """How many 1x1 and 3x3 convolutions lie on a path from the input to the output."""
    live = {edge for path in live_paths(row) for edge in path}
    operations = [OPERATIONS[row[edge]] for edge in live]
    return operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3")


def promise(points: Sequence[Point]) -> Floats:
    """What general knowledge of convolutional networks says of cells, without any accuracy.

    Weights that reach the output help; a path without convolutions lets gradients through
    (residual networks, He et al. 2016); averaging blurs, the more the more paths average; a
    cell without a path learns nothing.
    """
    rows = cell_space().encode(points)
    return np.array([_promise(tuple(row)) for row in rows.tolist()])


def _promise(row: tuple[int, ...]) -> float:
    paths = live_paths(row)
    if not paths:
        return -1.0
    small, large = live_convolutions(row)
    weights = np.log2(1 + small + 9 * large) / np.log2(1 + 9 * len(EDGES))
    operations = [[OPERATIONS[row[edge]] for edge in path] for path in paths]
    identity = any(set(path) == {"skip_connect"} for path in operations)
    averaged = np.mean(["avg_pool_3x3" in path for path in operations])
    return float(weights + 0.5 * identity - 0.5 * averaged)


def nas201(
    table: Table,
    accuracy: str,
    hardware: Space | None = None,
    constraints: Mapping[str, Constraint] | None = None,
) -> TabularProblem:
    """Error, latency and area of every cell of ``table`` on every accelerator.

    ``hardware`` may be a part of :func:`accelerator_space`.

    ``accuracy`` names the column, in percent, that an evaluation looks up. The score: error
    from the table's best to its 95th percentile, log10 of latency and of area over all
    pairs, reference point (1, 1, 1). Raises :class:`DataError`, one line, for a table that
    is not the benchmark's.
    """
    table.check_complete(["cell", accuracy])
    percent = table.numbers(accuracy)
    if not ((percent >= 0) & (percent <= 100)).all():
        row = int(np.flatnonzero((percent < 0) | (percent > 100))[0])
        raise DataError(
            f"{table.name}: row {table.row_numbers[row]}, column {accuracy} = {percent[row]:g}: "
            "an accuracy in percent is needed, allowed 0 to 100"
        )
    space, hardware = cell_space(), hardware or accelerator_space()
    rows = _cells(table, space)
    keys = network_keys(space, rows)
    measured = {
        key: {"accuracy": share} for key, share in zip(keys, (percent / 100).tolist(), strict=True)
    }
    costing: Costing = Costing(space, hardware, workload_of, parameters_of=parameters_of)
    if len(rows) < space.size:
        space = ListedSpace(space.name, space.choices, rows)
        costing = replace(costing, network_space=space)
    ends = _ends(costing, rows)
    errors = np.quantile(1 - percent / 100, (0.0, 0.95))
    bounds = (
        Bound("accuracy", float(1 - errors[1]), float(1 - errors[0]), log=False),
        *(Bound(metric, *ends[metric], log=True) for metric in COSTS_COMPARED),
    )
    features = CellFeatures()
    score, bounded = Score(bounds), constraints or {}
    problem = Problem(
        space, hardware, score, costing, bounded,
        features=features, promise=promise, about=ABOUT,
    )  # fmt: skip
    return TabularProblem(table.name, problem, measured)


def _cells(table: Table, space: Space) -> Indices:
    """The cells of a table as indices; each may stand once."""
    points = []
    for number, text in zip(table.row_numbers, table.words("cell"), strict=True):
        try:
            points.append(parse_cell(text))
        except ValueError as error:
            raise DataError(
                f"{table.name}: row {number}, column cell = {shown(text)}: {error}"
            ) from None
    rows = space.encode(points)
    first: dict[bytes, int] = {}
    for number, row in zip(table.row_numbers, rows, strict=True):
        before = first.setdefault(row.tobytes(), number)
        if before != number:
            raise DataError(f"{table.name}: rows {before} and {number} have the same cell")
    return rows


def _ends(costing: Costing, rows: Indices) -> dict[str, tuple[float, float]]:
    """The least and the most of each compared cost over all pairs."""
    ends = dict.fromkeys(COSTS_COMPARED, (np.inf, 0.0))
    for start in range(0, len(rows), AT_ONCE):
        costs = costing.cross(rows[start : start + AT_ONCE], costing.hardware, COSTS_COMPARED)
        for metric, (low, high) in ends.items():
            ends[metric] = min(low, costs[metric].min()), max(high, costs[metric].max())
    return {metric: (float(low), float(high)) for metric, (low, high) in ends.items()}
