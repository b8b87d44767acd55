"""Pairs of networks and hardware, cut into blocks so that memory stays bounded.

Sums over layers are sums of whole numbers in float64: exact in any order, so that a
pair's values do not depend on the block that it falls into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from archwright.evaluators.hardware.columns import ALL_DATAFLOWS, HardwareColumns, Integers
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.dataflows import cycles, demand
from archwright.evaluators.hardware.demand import Demand
from archwright.evaluators.hardware.layers import LayerRows, layer_rows, rows_of
from archwright.evaluators.hardware.totals import Costs, Timing
from archwright.workload import Workload

BLOCK_ELEMENTS = 48_000  # layers x hardware points at a time: what is at work fits the cache
BLOCK_NETWORKS = 16

Block = tuple[Any, Costs]
"""Where in the results, and what it costs there."""


class LayerQuantities:
    """What layers ask of hardware points, each quantity made on demand, as Costs wants it.

    ``cycles_per_byte`` may stand for more points than ``points``: ``at`` then says which
    of them each one belongs to.
    """

    def __init__(
        self,
        layers: LayerRows,
        points: HardwareColumns,
        dataflow: str,
        cycles_per_byte: Floats,
        at: Integers | None = None,
    ) -> None:
        self._layers, self._points, self._dataflow = layers, points, dataflow
        self._cycles_per_byte, self._at = cycles_per_byte, at

    @cached_property
    def asked(self) -> Demand:
        """Cycles and bytes, without stalls."""
        return demand(self._layers, self._points, self._dataflow)

    @cached_property
    def timing(self) -> Timing:
        """Cycles with stalls, for each of ``cycles_per_byte``."""
        return Timing(self._layers, self.asked, self._cycles_per_byte, self._at)

    def __call__(self, name: str) -> Floats:
        """One quantity of each layer; see :class:`Costs` for the names."""
        if name in LayerRows._fields:
            return cast(Floats, getattr(self._layers, name))
        if is_timing(name):
            return self.timing.quantity(name)
        if name == "cycles" and "asked" not in self.__dict__:  # need no traffic
            return cycles(self._layers, self._points, self._dataflow)
        return cast(Floats, getattr(self.asked, name))


def is_timing(name: str) -> bool:
    """Whether a quantity depends on the DRAM's bandwidth."""
    return name == "total_cycles" or name.startswith("bound_cycles.")


def _combine(name: str) -> np.ufunc:
    """What makes a network's quantity from those of its layers: their sum, or the largest."""
    largest = name.startswith("peak_") or name in ("activations", "bytes")
    return np.maximum if largest else np.add


def cross_blocks(workloads: Sequence[Workload], points: HardwareColumns) -> Iterator[Block]:
    """Every workload with every point; each block's costs have shape (workloads, points).

    Equal layers are computed once, and so are hardware points that ask the same of them.
    """
    traffic, timings = points.traffic_groups, points.timing_groups
    for start in range(0, len(workloads), BLOCK_NETWORKS):
        some = workloads[start : start + BLOCK_NETWORKS]
        layers, counts = _distinct_layers(some)
        size = max(64, BLOCK_ELEMENTS // counts.shape[1])
        for dataflow, indices in _hardware_blocks(points, size, timings):
            block = points.take(indices)
            first, group = _runs(traffic[indices])
            first_timing, timing = _runs(timings[indices])
            quantities = LayerQuantities(
                layers,
                block.take(first),
                dataflow,
                block.cycles_per_byte[first_timing],
                group[first_timing],
            )
            of = _CrossSums(counts, quantities, group, timing)
            yield np.s_[start : start + len(some), indices], Costs(block, of)


@dataclass(frozen=True)
class _CrossSums:
    """Quantities of networks, shape (workloads, points) or (workloads, 1), from their layers'.

    ``counts`` says how often each layer stands in each network; ``group`` and ``timing``
    where each point's traffic and time stand among the distinct ones.
    """

    counts: Floats
    quantities: LayerQuantities
    group: Integers
    timing: Integers

    def __call__(self, name: str) -> Floats:
        each = self.quantities(name)
        if each.ndim == 0:
            return np.full((1, 1), float(each))
        if _combine(name) is np.maximum:
            found = np.stack([each[count > 0].max(axis=0) for count in self.counts])
        else:
            found = self.counts @ each
        if found.shape[1] == 1:
            return found
        return cast(Floats, found[:, self.timing if is_timing(name) else self.group])


def zip_blocks(workloads: Sequence[Workload], points: HardwareColumns) -> Iterator[Block]:
    """The i-th workload with the i-th point; each block's costs have shape (pairs,)."""
    tables = [workload.table for workload in workloads]
    size = max(1, BLOCK_ELEMENTS // max((table.shape[1] for table in tables), default=1))
    for dataflow, indices in _hardware_blocks(points, size):
        block = points.take(indices)
        of = _ZipSums([tables[i] for i in indices.tolist()], block, dataflow)
        yield indices, Costs(block, of)


@dataclass(frozen=True)
class _ZipSums:
    """Quantities of pairs, shape (pairs,), from their layers'."""

    tables: Sequence[Floats]
    points: HardwareColumns
    dataflow: str

    @cached_property
    def _lengths(self) -> Integers:
        return np.array([table.shape[1] for table in self.tables])

    @cached_property
    def _quantities(self) -> LayerQuantities:
        each_point = self.points.repeat(self._lengths)
        ratio = np.repeat(self.points.cycles_per_byte, self._lengths)
        return LayerQuantities(rows_of(self.tables), each_point, self.dataflow, ratio)

    def __call__(self, name: str) -> Floats:
        each = self._quantities(name)
        if each.ndim == 0:
            return np.full(len(self.tables), float(each))
        return cast(Floats, _combine(name).reduceat(each, np.cumsum(self._lengths) - self._lengths))


def _distinct_layers(workloads: Sequence[Workload]) -> tuple[LayerRows, Floats]:
    """The distinct layers, shape (layers, 1), and how often each stands in each workload."""
    rows = layer_rows(workloads)
    table = np.ascontiguousarray(np.array(rows).T)
    as_bytes = table.view(np.dtype((np.void, table.dtype.itemsize * table.shape[1]))).ravel()
    _, first, which = np.unique(as_bytes, return_index=True, return_inverse=True)
    owner = np.repeat(np.arange(len(workloads)), [len(w.layers) for w in workloads])
    counts = np.zeros((len(workloads), len(first)))
    np.add.at(counts, (owner, which), 1.0)
    return LayerRows(*table[first].T[:, :, None]), counts


def _hardware_blocks(
    points: HardwareColumns, size: int, key: Integers | None = None
) -> Iterator[tuple[str, Integers]]:
    """A dataflow and indices of at most ``size`` of its points, block after block.

    With a ``key``, points of equal keys stand together.
    """
    for dataflow in ALL_DATAFLOWS:
        indices = np.flatnonzero(points.dataflow == dataflow)
        if key is not None:
            indices = indices[np.argsort(key[indices], kind="stable")]
        for start in range(0, len(indices), size):
            yield dataflow, indices[start : start + size]


def _runs(ordered: Integers) -> tuple[Integers, Integers]:
    """Where runs of equal numbers begin, and to which run each number belongs."""
    begins = np.append(True, ordered[1:] != ordered[:-1])
    return np.flatnonzero(begins), np.cumsum(begins) - 1
