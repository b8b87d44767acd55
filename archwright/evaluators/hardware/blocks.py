"""Pairs of networks and hardware, cut into blocks so that memory stays bounded.

Sums over layers are sums of whole numbers in float64: exact in any order, so that a
pair's values do not depend on the block that it falls into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from archwright.evaluators.hardware.columns import TRAFFIC_CHOICES, HardwareColumns, Integers
from archwright.evaluators.hardware.cycles import DATAFLOWS
from archwright.evaluators.hardware.demand import demand, layer_rows, workload_rows
from archwright.evaluators.hardware.totals import (
    Networks,
    Totals,
    networks_of,
    stalled_cycles,
    totals_of,
)
from archwright.workload import Workload

BLOCK_ELEMENTS = 200_000  # layers x hardware points at a time: about 60 MB of temporaries
BLOCK_NETWORKS = 16

Block = tuple[Any, Networks, HardwareColumns, Totals]
"""Where in the results, the networks, the hardware points, and their sums over layers."""


def cross_blocks(workloads: Sequence[Workload], points: HardwareColumns) -> Iterator[Block]:
    """Every workload with every point; sums of shape (workloads, points) for each block.

    Equal layers are computed once, and so are hardware points that ask the same of them.
    """
    traffic = points.groups(TRAFFIC_CHOICES)
    ratios, ratio = np.unique(points.cycles_per_byte, return_inverse=True)
    for start in range(0, len(workloads), BLOCK_NETWORKS):
        some = workloads[start : start + BLOCK_NETWORKS]
        tables = [workload_rows(workload) for workload in some]
        networks = networks_of(some, tables).as_rows()
        position = {row: i for i, row in enumerate(dict.fromkeys(r for t in tables for r in t))}
        counts = np.zeros((len(some), len(position)))
        for count, rows in zip(counts, tables, strict=True):
            np.add.at(count, [position[row] for row in rows], 1.0)
        layers = layer_rows(list(position), trailing_axes=1)
        for indices in _hardware_blocks(points, max(64, BLOCK_ELEMENTS // len(position))):
            block = points.take(indices)
            _, first, group = np.unique(traffic[indices], return_index=True, return_inverse=True)
            asked = demand(layers, block.take(first), str(block.dataflow[0]))
            # Points of one traffic and one ratio of clock to bandwidth take equal cycles.
            timings, timing = np.unique(group * len(ratios) + ratio[indices], return_inverse=True)
            of_group = timings // len(ratios)
            total_cycles = stalled_cycles(
                asked.cycles[:, of_group],
                asked.first_fill[:, of_group],
                asked.dram[:, of_group],
                ratios[timings % len(ratios)],
            )
            sums = Totals(*(counts @ array for array in totals_of(asked, total_cycles)))
            spread = Totals(*(array[:, group] for array in sums._replace(total_cycles=sums.cycles)))
            spread = spread._replace(total_cycles=sums.total_cycles[:, timing])
            yield np.s_[start : start + len(some), indices], networks, block, spread


def zip_blocks(workloads: Sequence[Workload], points: HardwareColumns) -> Iterator[Block]:
    """The i-th workload with the i-th point; sums of shape (pairs,) for each block."""
    distinct = {id(workload): workload for workload in workloads}
    number = {key: i for i, key in enumerate(distinct)}
    which = np.array([number[id(workload)] for workload in workloads], dtype=np.int64)
    tables = [workload_rows(workload) for workload in distinct.values()]
    if not tables:
        return
    networks = networks_of(list(distinct.values()), tables)
    layers = layer_rows([row for rows in tables for row in rows])
    lengths = np.array([len(rows) for rows in tables])
    offsets = np.cumsum(lengths) - lengths
    for indices in _hardware_blocks(points, max(1, BLOCK_ELEMENTS // int(lengths.max()))):
        some = which[indices]
        starts = np.cumsum(lengths[some]) - lengths[some]
        pair = np.repeat(np.arange(len(some)), lengths[some])
        row = np.arange(len(pair)) + np.repeat(offsets[some] - starts, lengths[some])
        block = points.take(indices)
        each = block.take(pair)
        asked = demand(layers.take(row), each, str(block.dataflow[0]))
        total_cycles = stalled_cycles(
            asked.cycles, asked.first_fill, asked.dram, each.cycles_per_byte
        )
        totals = totals_of(asked, total_cycles)
        sums = Totals(*(np.add.reduceat(array, starts) for array in totals))
        yield indices, networks.take(some), block, sums


def _hardware_blocks(points: HardwareColumns, size: int) -> Iterator[Integers]:
    """Indices of at most ``size`` points of one dataflow, block after block."""
    for dataflow in DATAFLOWS:
        indices = np.flatnonzero(points.dataflow == dataflow)
        for start in range(0, len(indices), size):
            yield indices[start : start + size]
