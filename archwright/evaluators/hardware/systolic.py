"""What products ask of a systolic array: output-, weight- and input-stationary.

The rules are explained in docs/hardware-model.md, in the order of this file.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import ACCUMULATOR_BYTES, Floats
from archwright.evaluators.hardware.cycles import Fold, ceil_div, fold_streams
from archwright.evaluators.hardware.demand import Demand
from archwright.evaluators.hardware.layers import LayerRows


class _Operand(NamedTuple):
    """Inputs or weights of one product, and the half buffer that they use. Bytes."""

    total: Floats
    vector: Floats  # the k operands of one output pixel or filter
    element: Floats
    half: Floats
    fits: npt.NDArray[np.bool_]


class _Tiling(NamedTuple):
    """How often an operand comes from DRAM, and the bytes of it that are held at once."""

    fetches: Floats
    held: Floats

    def where(self, chosen: npt.NDArray[np.bool_], other: _Tiling) -> _Tiling:
        """This tiling where ``chosen``, else the other."""
        return _Tiling(
            np.where(chosen, self.fetches, other.fetches), np.where(chosen, self.held, other.held)
        )


def _operand(total: Floats, vector: Floats, element: Floats, kib: Floats) -> _Operand:
    half = kib * 512
    return _Operand(total, vector, element, half, np.asarray(total <= half))


def systolic_demand(layers: LayerRows, hardware: HardwareColumns, dataflow: str) -> Demand:
    """What the products of ``layers`` ask under "os", "ws" or "is"; shapes broadcast."""
    m, n, k, groups = layers.m, layers.n, layers.k, layers.groups
    size, weight_size = layers.bytes, layers.weight_bytes
    rows, columns = hardware["rows"], hardware["columns"]
    vector, filter_bytes = k * size, k * weight_size
    inputs = _operand(layers.product_inputs * size, vector, size, hardware["input_buffer_kib"])
    weights = _operand(n * filter_bytes, filter_bytes, weight_size, hardware["weight_buffer_kib"])
    sums = hardware["output_buffer_kib"] * (512 / ACCUMULATOR_BYTES)

    fold = fold_streams(dataflow, m, n, k, rows, columns)
    results = m * n
    if dataflow == "os":
        input_tiling, weight_tiling = _output_stationary(
            m, n, rows, columns, fold.rows, fold.columns, inputs, weights
        )
        input_reads, weight_reads = fold.columns, fold.rows
        sum_accesses = size
        fill_inputs, fill_weights = np.minimum(rows, m), np.minimum(columns, n)
        held_sums = fill_weights
    else:
        # Every fold of k writes its partial sums, every one but the first reads them first.
        sum_accesses = ACCUMULATOR_BYTES * (2 * fold.rows - 1)
        fill = np.minimum(rows, k)
        if dataflow == "ws":
            width = np.minimum(columns, n)
            weight_tiling, input_tiling, held_sums, weight_reads = _operand_stationary(
                m, width, fill, fold.columns, sums, stationary=weights, streaming=inputs
            )
            input_reads = fold.columns
            fill_inputs, fill_weights = fill, fill * width
        else:
            width = np.minimum(columns, m)
            input_tiling, weight_tiling, held_sums, input_reads = _operand_stationary(
                n, width, fill, fold.columns, sums, stationary=inputs, streaming=weights
            )
            weight_reads = fold.columns
            fill_inputs, fill_weights = fill * width, fill

    return Demand(
        cycles=_cycles(groups, fold),
        folding=groups * (fold.rows * fold.columns * fold.overhead),
        fill_inputs=fill_inputs * size,
        fill_weights=fill_weights * weight_size,
        dram_inputs=groups * inputs.total * input_tiling.fetches,
        dram_weights=groups * weights.total * weight_tiling.fetches,
        dram_outputs=layers.outputs * size,
        buffer_inputs=groups * m * vector * input_reads,
        buffer_weights=groups * weights.total * weight_reads,
        # The last term is the drain: from the output buffer to DRAM or the input buffer.
        buffer_outputs=groups * results * (sum_accesses + size),
        peak_inputs=input_tiling.held,
        peak_weights=weight_tiling.held,
        peak_outputs=held_sums * ACCUMULATOR_BYTES,
    )


def systolic_too_small(
    hardware: HardwareColumns, bits: Floats | float
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which buffers cannot hold, in one half, one vector of ``bits`` for the array.

    That is one operand for each row or column, whichever are more; for the outputs
    one partial sum for each column.
    """
    operands = np.maximum(hardware["rows"], hardware["columns"]) * bits / 8
    sums = hardware["columns"] * ACCUMULATOR_BYTES
    return {
        "input_buffer_kib": hardware["input_buffer_kib"] * 512 < operands,
        "weight_buffer_kib": hardware["weight_buffer_kib"] * 512 < operands,
        "output_buffer_kib": hardware["output_buffer_kib"] * 512 < sums,
    }


def systolic_cycles(layers: LayerRows, hardware: HardwareColumns, dataflow: str) -> Floats:
    """Cycles of the products alone, as in :func:`systolic_demand`."""
    fold = fold_streams(
        dataflow, layers.m, layers.n, layers.k, hardware["rows"], hardware["columns"]
    )
    return _cycles(layers.groups, fold)


def _cycles(groups: Floats, fold: Fold) -> Floats:
    found: Floats = groups * (fold.rows * fold.columns * (fold.streamed + fold.overhead) - 1)
    return found


def _output_stationary(
    m: Floats,
    n: Floats,
    rows: Floats,
    columns: Floats,
    row_folds: Floats,
    column_folds: Floats,
    inputs: _Operand,
    weights: _Operand,
) -> tuple[_Tiling, _Tiling]:
    """How inputs and weights are fetched: the cheaper of two loop orders.

    Pixels outside: a block of pixels is kept (at least one fold's, else inputs are
    fetched for every fold of filters), and all weights pass once for each block.
    Filters outside: the same with inputs and weights exchanged.
    """
    pixels, filters = np.minimum(rows, m), np.minimum(columns, n)
    kept_inputs, passing_weights = _keep_blocks(
        m, rows, pixels, column_folds, filters, inputs, weights
    )
    kept_weights, passing_inputs = _keep_blocks(
        n, columns, filters, row_folds, pixels, weights, inputs
    )
    pixels_outside = inputs.total * kept_inputs.fetches + weights.total * passing_weights.fetches
    filters_outside = inputs.total * passing_inputs.fetches + weights.total * kept_weights.fetches
    first = np.asarray(pixels_outside <= filters_outside)
    return kept_inputs.where(first, passing_inputs), passing_weights.where(first, kept_weights)


def _keep_blocks(
    size: Floats,
    side: Floats,
    fold: Floats,
    other_folds: Floats,
    other_fold: Floats,
    kept: _Operand,
    passing: _Operand,
) -> tuple[_Tiling, _Tiling]:
    """The kept operand (``size`` vectors, ``fold`` of them in the array) and the passing one.

    Where not even a fold's vectors fit, one element of each is held at a time.
    """
    block = np.where(kept.fits, size, np.floor(kept.half / kept.vector))
    fold_fits = block >= fold
    blocks = ceil_div(size, np.maximum(block, side))
    return (
        _Tiling(
            np.where(fold_fits, 1.0, other_folds),
            np.where(
                kept.fits,
                kept.total,
                np.where(fold_fits, block * kept.vector, fold * kept.element),
            ),
        ),
        _Tiling(
            np.where(passing.fits, 1.0, blocks),
            np.where(passing.fits, passing.total, other_fold * passing.element),
        ),
    )


def _operand_stationary(
    streamed: Floats,
    width: Floats,
    fill: Floats,
    folds: Floats,
    sums: Floats,
    stationary: _Operand,
    streaming: _Operand,
) -> tuple[_Tiling, _Tiling, Floats, Floats]:
    """The stationary and the streaming operand, the sums held, the stationary one's reads.

    The stationary operand (weights for "ws", inputs for "is") lies in the array, ``width``
    vectors of it along the columns, in ``folds``; ``streamed`` vectors of the other pass
    by, in tiles whose partial sums fit half the output buffer (``sums`` of them).
    Two loop orders, the cheaper is taken. Folds outside: the tile of the stationary
    operand is fetched once, or once for each streamed tile where it does not fit; the
    streaming operand once for each fold. Streamed tiles outside: tiles small enough to
    be kept are fetched once, the stationary operand once for each of them.
    """
    tile = np.maximum(np.floor(sums / width), 1.0)
    passes = ceil_div(streamed, tile)
    fold_bytes = stationary.vector * width
    tile_fits = stationary.fits | (fold_bytes <= stationary.half)
    row = width * stationary.element  # what is not kept goes straight into the array
    held_stationary = np.where(stationary.fits, stationary.total, row)
    outer_stationary = _Tiling(
        np.where(tile_fits, 1.0, passes),
        np.where(tile_fits & ~stationary.fits, fold_bytes, held_stationary),
    )
    outer_streaming = _Tiling(
        np.where(streaming.fits, 1.0, folds),
        np.where(streaming.fits, streaming.total, fill * streaming.element),
    )

    kept = np.where(streaming.fits, streamed, np.floor(streaming.half / streaming.vector))
    kept_tile = np.maximum(np.minimum(tile, kept), 1.0)
    inner_stationary = _Tiling(
        np.where(stationary.fits, 1.0, ceil_div(streamed, kept_tile)), held_stationary
    )
    inner_streaming = _Tiling(
        np.ones(()),
        np.where(streaming.fits, streaming.total, kept_tile * streaming.vector),
    )

    inner = (kept >= 1) & (
        stationary.total * inner_stationary.fetches + streaming.total
        < stationary.total * outer_stationary.fetches + streaming.total * outer_streaming.fetches
    )
    return (
        inner_stationary.where(inner, outer_stationary),
        inner_streaming.where(inner, outer_streaming),
        np.minimum(np.where(inner, kept_tile, tile), streamed) * width,
        passes,
    )
