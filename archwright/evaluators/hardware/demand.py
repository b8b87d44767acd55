"""What layers ask of an array and its memories: cycles and bytes, and where the bytes pass.

A dataflow says what the products on the array ask (``systolic``, ``row_stationary``);
``on_chip`` adds what is the same for all of them: the vector unit's layers, the biases,
and the tensors that stay on the chip from one layer to the next.

All quantities are whole numbers (or eighths of them: bits) held exactly in float64, so
that their sums do not depend on the order or the company in which layers are added up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.cycles import ceil_div
from archwright.evaluators.hardware.layers import LayerRows

NONE: Floats = np.zeros(())


class Demand(NamedTuple):
    """What each layer asks of each hardware, all its groups together, without any stall.

    Cycles; bytes that pass (``dram_``, ``buffer_``: reads and writes of the on-chip
    buffers, ``register_``: of the processing elements' register files, ``array``: from
    one element to another); bytes that one half of a buffer must hold at once (``peak_``).
    "weights" is the operand that fills the weight buffer: a matmul's second, too.

    A dataflow gives the products alone, as if nothing stayed on the chip. For layers of
    the vector unit (0 groups) bytes that pass must be 0; the rest is not used.
    """

    cycles: Floats
    folding: Floats  # cycles of fill and drain within ``cycles``
    fill_inputs: Floats  # bytes that must arrive before the first cycle
    fill_weights: Floats
    dram_inputs: Floats
    dram_weights: Floats
    dram_outputs: Floats
    buffer_inputs: Floats
    buffer_weights: Floats
    buffer_outputs: Floats
    peak_inputs: Floats
    peak_weights: Floats
    peak_outputs: Floats
    register_inputs: Floats = NONE
    register_weights: Floats = NONE
    register_outputs: Floats = NONE
    array_bytes: Floats = NONE

    @property
    def dram(self) -> Floats:
        """All DRAM bytes."""
        return self.dram_inputs + self.dram_weights + self.dram_outputs

    @property
    def first_fill(self) -> Floats:
        """Bytes that must arrive before the first cycle."""
        return self.fill_inputs + self.fill_weights


def on_chip(layers: LayerRows, hardware: HardwareColumns, products: Demand) -> Demand:
    """``products`` with the vector unit's layers, the biases and what stays on the chip.

    A tensor that fits half of both the input and the output buffer stays from the layer
    that makes it to the next one: it is neither written to DRAM nor read from there.
    """
    size, on_array, columns = layers.bytes, layers.on_array, hardware["columns"]
    half_inputs, half_outputs = (
        hardware["input_buffer_kib"] * 512,
        hardware["output_buffer_kib"] * 512,
    )
    shared_half = np.minimum(half_inputs, half_outputs)
    tensor, outputs = layers.tensor * size, layers.outputs * size
    input_stays = (layers.inputs_may_stay > 0) & (tensor <= shared_half)
    output_stays = (layers.outputs_may_stay > 0) & (outputs <= shared_half)
    first_vector = np.minimum(layers.tensor, columns) * size
    first_result = np.minimum(layers.outputs, columns) * size
    dram_inputs = layers.vector_inputs * size + np.where(on_array, products.dram_inputs, 0.0)
    dram_outputs = np.where(on_array, products.dram_outputs, outputs)
    peak_inputs = np.where(on_array, products.peak_inputs, first_vector)
    peak_outputs = np.where(on_array, products.peak_outputs, first_result)
    return products._replace(
        cycles=np.where(on_array, products.cycles, vector_cycles(layers, hardware)),
        fill_inputs=np.where(
            input_stays, 0.0, np.where(on_array, products.fill_inputs, first_vector)
        ),
        fill_weights=np.where(on_array, products.fill_weights, 0.0),
        dram_inputs=np.where(input_stays, 0.0, dram_inputs),
        dram_weights=products.dram_weights + layers.biases * size,
        dram_outputs=np.where(output_stays, 0.0, dram_outputs),
        buffer_inputs=products.buffer_inputs + layers.vector_reads * size,
        # The vector unit writes each output, which then leaves for DRAM or the input buffer.
        buffer_outputs=np.where(on_array, products.buffer_outputs, 2 * outputs),
        peak_inputs=np.where(input_stays, np.maximum(peak_inputs, tensor), peak_inputs),
        peak_weights=np.where(on_array, products.peak_weights, 0.0),
        peak_outputs=np.where(output_stays, np.maximum(peak_outputs, outputs), peak_outputs),
    )


def vector_cycles(layers: LayerRows, hardware: HardwareColumns) -> Floats:
    """Cycles of the vector unit, which has a lane for each column."""
    found: Floats = ceil_div(layers.vector_operations, hardware["columns"])
    return found
