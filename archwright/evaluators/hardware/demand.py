"""What layers ask of an array and its memories: cycles, DRAM bytes, buffer bytes.

All quantities are whole numbers (or halves) held exactly in float64, so that their sums
do not depend on the order or the company in which layers are added up. The rules are
explained in docs/hardware-model.md, in the order of this file.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware.columns import HardwareColumns, Integers
from archwright.evaluators.hardware.costs import ACCUMULATOR_BYTES, Floats
from archwright.evaluators.hardware.cycles import ceil_div, fold_streams
from archwright.workload import Layer, LayerKind, Workload

Row = tuple[float, ...]


class LayerRows(NamedTuple):
    """Layers as arrays of one shape, or of one that broadcasts with the hardware's.

    A layer on the array is ``repeats`` products of (m, n, k); one on the vector unit
    has none of them, and ``vector_operations`` instead.
    """

    m: Floats
    n: Floats
    k: Floats
    repeats: Floats
    product_inputs: Floats  # elements that one product reads
    tensor: Floats  # elements of one input tensor
    outputs: Floats  # elements of the output tensor
    biases: Floats
    vector_operations: Floats
    vector_reads: Floats  # elements that the vector unit reads from the input buffer
    vector_inputs: Floats  # elements that come in for the vector unit
    inputs_may_stay: Floats  # 1 where the producer may keep the input on the chip
    outputs_may_stay: Floats
    bytes: Floats  # of one operand
    macs: Floats

    def take(self, indices: Integers) -> LayerRows:
        """The layers at ``indices``, where all have one axis."""
        return LayerRows(*(array[indices] for array in self))


class Demand(NamedTuple):
    """What each layer asks of each hardware. Cycles; bytes; without any stall."""

    cycles: Floats
    folding: Floats  # cycles of fill and drain within ``cycles``
    first_fill: Floats  # bytes that must arrive before the first cycle
    dram_inputs: Floats
    dram_weights: Floats
    dram_outputs: Floats
    buffer_inputs: Floats
    buffer_weights: Floats
    buffer_outputs: Floats

    @property
    def dram(self) -> Floats:
        """All DRAM bytes."""
        return self.dram_inputs + self.dram_weights + self.dram_outputs


def layer_row(layer: Layer, bits: int, first: bool, last: bool) -> Row:
    """One layer as the numbers of :class:`LayerRows`."""
    on_array, outputs = layer.on_array, layer.output_elements
    m, n, k, repeats = layer.gemm if on_array else (1, 1, 1, 0)
    elementwise = layer.kind is LayerKind.ELEMENTWISE
    inputs = layer.input_elements
    operations = 0 if on_array else outputs * (1 if elementwise else layer.kernel**2)
    return (
        m,
        n,
        k,
        repeats,
        inputs // max(repeats, 1) if layer.kind is LayerKind.DEPTHWISE else inputs,
        inputs // 2 if elementwise else inputs,
        outputs,
        layer.out_channels if layer.bias else 0,
        operations,
        operations * (2 if elementwise else 1),
        0 if on_array else inputs,
        # A residual's other operand is older than the buffers' contents: it goes through
        # DRAM, written and read or, where both operands do not stay, both read.
        0 if first or elementwise else 1,
        0 if last else 1,
        bits / 8,
        layer.macs,
    )


def workload_rows(workload: Workload) -> list[Row]:
    """The rows of a workload's layers, in order."""
    end = len(workload.layers) - 1
    return [
        layer_row(layer, workload.bits, i == 0, i == end) for i, layer in enumerate(workload.layers)
    ]


def layer_rows(rows: list[Row], trailing_axes: int = 0) -> LayerRows:
    """Rows to arrays of shape (layers, 1, ...) with ``trailing_axes`` ones."""
    table = np.array(rows, dtype=np.float64)
    return LayerRows(*table.T.reshape(len(LayerRows._fields), -1, *(1,) * trailing_axes))


class _Operand(NamedTuple):
    """Inputs or weights of one product, and the half buffer that they use. Bytes."""

    total: Floats
    vector: Floats  # the k operands of one output pixel or filter
    half: Floats

    @property
    def fits(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.total <= self.half)


def demand(layers: LayerRows, hardware: HardwareColumns, dataflow: str) -> Demand:
    """What ``layers`` ask of ``hardware``, all of one ``dataflow``; shapes broadcast."""
    m, n, k, size = layers.m, layers.n, layers.k, layers.bytes
    rows, columns = hardware["rows"], hardware["columns"]
    inputs = _Operand(layers.product_inputs * size, k * size, hardware["input_buffer_kib"] * 512)
    weights = _Operand(n * k * size, k * size, hardware["weight_buffer_kib"] * 512)
    half_outputs = hardware["output_buffer_kib"] * 512

    folds, streamed, overhead = fold_streams(dataflow, m, n, k, rows, columns)
    if dataflow == "os":
        input_fetches, weight_fetches = _output_stationary(m, n, rows, columns, inputs, weights)
        input_reads, weight_reads = ceil_div(n, columns), ceil_div(m, rows)
        sum_accesses = size
        fill = np.minimum(rows, m) + np.minimum(columns, n)
    else:
        sums = half_outputs / ACCUMULATOR_BYTES
        if dataflow == "ws":
            weight_fetches, input_fetches, weight_reads, input_reads = _operand_stationary(
                n, m, columns, sums, stationary=weights, streaming=inputs
            )
            fold_columns = np.minimum(columns, n)
        else:
            input_fetches, weight_fetches, input_reads, weight_reads = _operand_stationary(
                m, n, columns, sums, stationary=inputs, streaming=weights
            )
            fold_columns = np.minimum(columns, m)
        # Every fold of k writes its partial sums, every one but the first reads them first.
        sum_accesses = ACCUMULATOR_BYTES * (2 * ceil_div(k, rows) - 1)
        fill = np.minimum(rows, k) * (fold_columns + 1)

    on_array = layers.repeats > 0
    stays = np.minimum(inputs.half, half_outputs)
    input_stays = (layers.inputs_may_stay > 0) & (layers.tensor * size <= stays)
    output_stays = (layers.outputs_may_stay > 0) & (layers.outputs * size <= stays)
    fetched_inputs = layers.repeats * inputs.total * input_fetches + layers.vector_inputs * size
    vector_outputs = np.where(on_array, 0.0, layers.outputs) * size
    asked = Demand(
        cycles=layers.repeats * (folds * (streamed + overhead) - 1)
        + ceil_div(layers.vector_operations, columns),
        folding=layers.repeats * folds * overhead,
        first_fill=np.where(on_array, fill, np.minimum(layers.tensor, columns)) * size,
        dram_inputs=np.where(input_stays, 0.0, fetched_inputs),
        dram_weights=layers.repeats * weights.total * weight_fetches + layers.biases * size,
        dram_outputs=np.where(output_stays, 0.0, layers.outputs * size),
        buffer_inputs=(layers.repeats * m * k * input_reads + layers.vector_reads) * size,
        buffer_weights=layers.repeats * n * k * weight_reads * size,
        # The last term is the drain: from the output buffer to DRAM or the input buffer.
        buffer_outputs=layers.repeats * m * n * (sum_accesses + size) + 2 * vector_outputs,
    )
    return Demand(*np.broadcast_arrays(*asked))


def _output_stationary(
    m: Floats, n: Floats, rows: Floats, columns: Floats, inputs: _Operand, weights: _Operand
) -> tuple[Floats, Floats]:
    """How often inputs and weights are fetched: the cheaper of two loop orders.

    Pixels outside: a block of pixels is kept (at least one fold's, else inputs are
    fetched for every fold of filters), and all weights pass once for each block.
    Filters outside: the same with inputs and weights exchanged.
    """
    kept_inputs, passing_weights = _keep_blocks(m, rows, n, columns, inputs, weights)
    kept_weights, passing_inputs = _keep_blocks(n, columns, m, rows, weights, inputs)
    pixels_outside = inputs.total * kept_inputs + weights.total * passing_weights
    filters_outside = inputs.total * passing_inputs + weights.total * kept_weights
    first = pixels_outside <= filters_outside
    return (
        np.where(first, kept_inputs, passing_inputs),
        np.where(first, passing_weights, kept_weights),
    )


def _keep_blocks(
    size: Floats,
    side: Floats,
    other_size: Floats,
    other_side: Floats,
    kept: _Operand,
    passing: _Operand,
) -> tuple[Floats, Floats]:
    """(fetches of the kept operand, fetches of the passing one) for one loop order."""
    block = np.where(kept.fits, size, np.floor(kept.half / kept.vector))
    fetches = np.where(block >= np.minimum(side, size), 1.0, ceil_div(other_size, other_side))
    passes = np.where(passing.fits, 1.0, ceil_div(size, np.maximum(block, side)))
    return fetches, passes


def _operand_stationary(
    folded: Floats,
    streamed: Floats,
    columns: Floats,
    sums: Floats,
    stationary: _Operand,
    streaming: _Operand,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Fetches of the stationary and of the streaming operand, then their buffer reads.

    ``folded`` (filters for "ws", pixels for "is") lies along the columns, ``streamed``
    passes by, in tiles whose partial sums fit half the output buffer (``sums`` of them).
    Two loop orders, the cheaper is taken. Folds outside: the tile of the stationary
    operand is fetched once, or once for each streamed tile where it does not fit; the
    streaming operand once for each fold. Streamed tiles outside: tiles small enough to
    be kept are fetched once, the stationary operand once for each of them.
    """
    width = np.minimum(columns, folded)
    tile = np.maximum(np.floor(sums / width), 1.0)
    passes = ceil_div(streamed, tile)
    streams = ceil_div(folded, columns)
    tile_fits = stationary.fits | (stationary.vector * width <= stationary.half)
    outer_stationary = np.where(tile_fits, 1.0, passes)
    outer_streaming = np.where(streaming.fits, 1.0, streams)

    kept = np.where(streaming.fits, streamed, np.floor(streaming.half / streaming.vector))
    kept_tile = np.maximum(np.minimum(tile, kept), 1.0)
    inner_stationary = np.where(stationary.fits, 1.0, ceil_div(streamed, kept_tile))

    inner = (kept >= 1) & (
        stationary.total * inner_stationary + streaming.total
        < stationary.total * outer_stationary + streaming.total * outer_streaming
    )
    return (
        np.where(inner, inner_stationary, outer_stationary),
        np.where(inner, 1.0, outer_streaming),
        passes,
        streams,
    )
