"""The roofline model: a layer takes a launch, and then as long as its busiest resource.

Per layer: time = launch overhead + max(compute, bytes of each memory / its bandwidth)
(Williams, Waterman and Patterson, CACM 2009), where

- a matrix product is cut into tiles, the platform's processors compute one each at a
  time, and a started tile or round of tiles costs a whole one (tile and wave
  quantisation). Of the platform's tiles the one with the least time is used;
- the innermost memory delivers the operands of every tile. A memory further out
  delivers what the capacity inside it cannot keep, as the best blocking does
  (2 m n k / sqrt(capacity), Hong and Kung 1981; less by sqrt(window / strides) for
  convolutions, whose windows overlap, Demmel and Dinh 2018), and no less than every
  tensor once: layers do not hand their results on through a cache;
- everything but matrix products runs at the vector peak, without quantisation;
  depthwise layers, too, as they do outside systolic arrays.

Layers run one after the other and are not fused. A batch shares the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware.cycles import ceil_div
from archwright.evaluators.hardware.platforms.platform import BITS, Platform
from archwright.workload import Layer, LayerKind, Workload

Floats = npt.NDArray[np.float64]

ROOFLINE_TOTALS = (
    *("latency_ms", "energy_uj", "power_mw", "utilisation", "dram_bytes"),
    *("macs", "parameters", "memory_kib"),
)
"""What ``evaluate`` gives. Energy and power are upper bounds: the thermal design power,
and that times the latency; nan where it is not published. ``dram_bytes`` are those of the
outermost memory."""


@dataclass(frozen=True)
class RooflineCost:
    """One layer on a platform.

    ``compute_us`` includes quantisation, which makes it ``quantisation`` (>= 1) times
    longer; ``memory_us`` and ``bytes`` go by the memories' names; ``bound`` names what
    takes longest: "launch", "compute" or a memory.
    """

    name: str
    latency_us: float
    compute_us: float
    quantisation: float
    memory_us: Mapping[str, float]
    bytes: Mapping[str, float]
    utilisation: float
    bound: str


class _Rows(NamedTuple):
    """Layers as arrays of shape (layers,); a product-less layer has ``products`` 0."""

    m: Floats
    n: Floats
    k: Floats
    products: Floats
    overlap: Floats  # how often neighbouring windows share an input
    vector_operations: Floats
    tensors: Floats  # elements of inputs, weights, biases and outputs, each once
    macs: Floats
    bytes: Floats  # of one element
    peak: Floats  # matrix operations/s


class _Times(NamedTuple):
    """Seconds and bytes of each layer; those of memories have shape (memories, layers)."""

    compute: Floats
    ideal: Floats
    memory: Floats
    traffic: Floats
    total: Floats


class RooflineModel:
    """Costs of networks on one platform.

    Each workload runs in the platform's precision for its bits, or all in ``precision``.
    Raises :class:`UserError` for a precision without a peak.
    """

    def __init__(self, platform: Platform, precision: str | None = None) -> None:
        if precision is not None:
            platform.peak(precision)
        self.platform = platform
        self._precision = precision

    def evaluate(self, workloads: Sequence[Workload]) -> dict[str, Floats]:
        """Each of ``ROOFLINE_TOTALS`` for every workload, shape (workloads,).

        A workload that the outermost memory cannot hold has inf in latency and energy.
        """
        if not workloads:
            return {name: np.empty(0) for name in ROOFLINE_TOTALS}
        rows = self._rows(workloads)
        times = self._times(rows)
        lengths = [len(workload.layers) for workload in workloads]
        starts = np.cumsum([0, *lengths[:-1]])
        seconds = np.add.reduceat(times.total, starts)
        possible = np.add.reduceat(2 * rows.macs / rows.peak, starts)
        memory_kib = np.array([self._memory_kib(workload) for workload in workloads])
        runs = memory_kib <= self._capacity_kib
        latency_ms = np.where(runs, 1e3 * seconds, np.inf)
        power_mw = np.full(len(workloads), 1e3 * (self.platform.tdp_w or np.nan))
        return {
            "latency_ms": latency_ms,
            "energy_uj": latency_ms * power_mw,
            "power_mw": power_mw,
            "utilisation": np.where(runs, possible / seconds, 0.0),
            "dram_bytes": np.add.reduceat(times.traffic[-1], starts),
            "macs": np.array([float(workload.macs) for workload in workloads]),
            "parameters": np.array([float(workload.parameters) for workload in workloads]),
            "memory_kib": memory_kib,
        }

    def per_layer(self, workload: Workload) -> list[RooflineCost]:
        """The costs of each layer; their latencies add up to what :meth:`evaluate` gives.

        Raises :class:`MeasurementFailed` where the outermost memory cannot hold the workload.
        """
        needed = self._memory_kib(workload)
        if needed > self._capacity_kib:
            outermost = self.platform.memory[-1]
            raise MeasurementFailed(
                f"memory.{outermost.name}.capacity_mib = {outermost.capacity_mib:g}: workload "
                f"{workload.name} needs {needed / 1024:.3g} MiB"
            )
        rows = self._rows([workload])
        times = self._times(rows)
        names = [level.name for level in self.platform.memory]
        result = []
        for i, layer in enumerate(workload.layers):
            memory = dict(zip(names, (1e6 * times.memory[:, i]).tolist(), strict=True))
            compute = float(1e6 * times.compute[i])
            resources = {
                "compute": compute,
                **memory,
                "launch": self.platform.launch_overhead_us,
            }
            result.append(
                RooflineCost(
                    name=layer.name,
                    latency_us=float(1e6 * times.total[i]),
                    compute_us=compute,
                    quantisation=float(times.compute[i] / times.ideal[i]),
                    memory_us=memory,
                    bytes=dict(zip(names, times.traffic[:, i].tolist(), strict=True)),
                    utilisation=float(2 * rows.macs[i] / rows.peak[i] / times.total[i]),
                    bound=max(resources, key=lambda name: resources[name]),
                )
            )
        return result

    @property
    def _capacity_kib(self) -> float:
        return 1024 * self.platform.memory[-1].capacity_mib

    def _precision_of(self, workload: Workload) -> str:
        return self._precision or self.platform.precision_for(workload.bits)

    def _memory_kib(self, workload: Workload) -> float:
        return workload.memory_kib * BITS[self._precision_of(workload)] / workload.bits

    def _rows(self, workloads: Sequence[Workload]) -> _Rows:
        table = []
        for workload in workloads:
            precision = self._precision_of(workload)
            how = (BITS[precision] / 8, self.platform.peak(precision))
            table += [(*_numbers(layer, workload.batch), *how) for layer in workload.layers]
        return _Rows(*np.array(table, dtype=np.float64).T)

    def _times(self, rows: _Rows) -> _Times:
        platform = self.platform
        bandwidths = np.array([level.gb_per_s * 1e9 for level in platform.memory])
        bandwidths *= platform.achieved_bandwidth
        vector = rows.vector_operations / (platform.vector_tops * 1e12)
        compute, innermost = self._tiled(rows, float(bandwidths[0]))
        compute = (compute + vector) / platform.efficiency
        once = rows.tensors * rows.bytes
        traffic = [np.maximum(innermost, once)]
        for inside in platform.memory[:-1]:
            kept = inside.capacity_mib * 2**20 / rows.bytes
            blocked = 2 * rows.m * rows.n * rows.k / np.sqrt(kept * rows.overlap)
            traffic.append(np.maximum(rows.products * blocked * rows.bytes, once))
        memory = np.array(traffic) / bandwidths[:, None]
        return _Times(
            compute=compute,
            ideal=(2 * rows.products * rows.m * rows.n * rows.k / rows.peak + vector)
            / platform.efficiency,
            memory=memory,
            traffic=np.array(traffic),
            total=platform.launch_overhead_us * 1e-6 + np.maximum(compute, memory.max(axis=0)),
        )

    def _tiled(self, rows: _Rows, bandwidth: float) -> tuple[Floats, Floats]:
        """Seconds of matrix work at the peak, and bytes of the innermost memory, by the
        tile that takes the least time."""
        platform = self.platform
        best = [np.full(rows.m.shape, np.inf)] * 3
        for tile_m, tile_n, tile_k in platform.tiles:
            down, across = ceil_div(rows.m, tile_m), ceil_div(rows.n, tile_n)
            waves = ceil_div(rows.products * down * across, platform.processors)
            operations = 2 * tile_m * tile_n * tile_k * ceil_div(rows.k, tile_k)
            compute = waves * operations * platform.processors / rows.peak
            elements = rows.k * (rows.m * across + rows.n * down) + rows.m * rows.n
            moved = rows.products * elements * rows.bytes
            time = np.maximum(compute / platform.efficiency, moved / bandwidth)
            better = time < best[0]
            best = [
                np.where(better, new, old)
                for new, old in zip((time, compute, moved), best, strict=True)
            ]
        return best[1], best[2]


def _numbers(layer: Layer, batch: int) -> tuple[float, ...]:
    """The first eight fields of :class:`_Rows`."""
    tensors = batch * (layer.input_elements + layer.output_elements) + layer.parameters
    overlap = np.prod(layer.window) / np.prod(layer.strides)
    if layer.on_array and layer.kind is not LayerKind.DEPTHWISE:
        m, n, k, products = layer.gemm
        if layer.kind is LayerKind.MATMUL:  # nothing is shared between the inputs of a batch
            products *= batch
        else:
            m *= batch
        return m, n, k, products, max(overlap, 1.0), 0, tensors, batch * layer.macs
    return 1, 1, 1, 0, 1, batch * _vector_operations(layer), tensors, batch * layer.macs


def _vector_operations(layer: Layer) -> int:
    """Operations outside matrix products."""
    if layer.kind is LayerKind.DEPTHWISE:
        return 2 * layer.macs
    if layer.kind is LayerKind.POOLING:
        height, width = layer.window
        return layer.output_elements * height * width
    if layer.kind is LayerKind.NORMALISATION:
        # Two passes for the statistics, one to apply them, as in the analytical model.
        return 3 * layer.output_elements
    return layer.output_elements * max(layer.operands - 1, 1)
