"""Layers as rows of numbers: what an array, its memories and the vector unit need of them.

One row per layer of a workload, for the whole batch. The numbers are derived from the
workload's table of sizes (``Workload.sizes``) with a few operations on whole columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.workload import KIND_CODES, Floats, LayerKind, LayerTable, Workload

Integers = npt.NDArray[np.int64]

NORMALISATION_PASSES = 3
"""Operations on each element: two for the statistics (mean and variance, or maximum and
sum), one to apply them. Estimated; an exponential or a division counts as one."""


class LayerRows(NamedTuple):
    """Layers as arrays of one shape, or of one that broadcasts with the hardware's.

    A layer on the array is ``groups`` products of (m, n, k), where

    - m = batch x out_height x out_width, the output pixels,
    - n = filters, those of one group,
    - k = channels x window_height x window_width, channels those of one group.

    A depthwise layer has as many groups as channels, with one filter each. A matmul has
    a group for each product of each input of the batch, and a batch of 1; its second
    operand stands for the weights. Layers on the vector unit have 0 groups (their
    other numbers are at least 1) and ``vector_operations`` instead.
    """

    batch: Floats
    out_height: Floats
    out_width: Floats
    window_height: Floats
    window_width: Floats
    stride_height: Floats
    stride_width: Floats
    channels: Floats
    filters: Floats
    groups: Floats
    m: Floats
    n: Floats
    k: Floats
    product_inputs: Floats  # elements that one product reads of the input tensor
    tensor: Floats  # elements of one input tensor, of the whole batch
    outputs: Floats  # elements of the output tensor
    biases: Floats
    vector_operations: Floats
    vector_reads: Floats  # elements that the vector unit reads from the input buffer
    vector_inputs: Floats  # elements that come in for the vector unit
    inputs_may_stay: Floats  # 1 where the producer may keep the input on the chip
    outputs_may_stay: Floats
    bytes: Floats  # of one activation
    weight_bytes: Floats  # of one weight, or of a matmul's second operand
    macs: Floats
    parameters: Floats  # weights and biases
    parameter_bytes: Floats
    activations: Floats  # elements that come in and go out

    @property
    def on_array(self) -> npt.NDArray[np.bool_]:
        """Where the layer runs on the array, and not on the vector unit."""
        return np.asarray(self.groups > 0)

    def take(self, indices: Integers) -> LayerRows:
        """The layers at ``indices`` of the first axis."""
        return LayerRows(*(array[indices] for array in self))


def layer_rows(workloads: Sequence[Workload]) -> LayerRows:
    """The layers of all ``workloads`` (at least one), one after another: shape (layers,)."""
    return rows_of([workload.table for workload in workloads])


def rows_of(tables: Sequence[Floats]) -> LayerRows:
    """The same from the workloads' tables."""
    layers = LayerTable(*np.concatenate(tables, axis=1))
    matmul = layers.kind == KIND_CODES[LayerKind.MATMUL]
    pixels = layers.batch * layers.out_height * layers.out_width
    window = layers.channels * layers.window_height * layers.window_width
    second = layers.filters * window * layers.groups  # weights, or a matmul's other operand

    vector_operations, vector_reads, vector_inputs = np.zeros((3, len(pixels)))
    takes_stayed = layers.follows.copy()
    on_vector = np.flatnonzero(layers.groups == 0)
    if len(on_vector):
        operations, reads, operands = _vector_passes(layers, on_vector)
        vector_operations[on_vector] = layers.outputs[on_vector] * operations
        vector_reads[on_vector] = layers.outputs[on_vector] * reads
        vector_inputs[on_vector] = layers.tensor[on_vector] * operands
        # A residual's other operand is older than the buffers' contents: it goes through
        # DRAM, written and read or, where both operands do not stay, both read.
        takes_stayed[on_vector[operands > 1]] = 0.0
    parameters = second * ~matmul + layers.biases
    # The producer may keep what the next layer reads, also as the newest operand of a sum.
    keeps = np.append(layers.follows[1:], 0.0)
    return LayerRows(
        batch=layers.batch,
        out_height=layers.out_height,
        out_width=layers.out_width,
        window_height=layers.window_height,
        window_width=layers.window_width,
        stride_height=layers.stride_height,
        stride_width=layers.stride_width,
        channels=layers.channels,
        filters=layers.filters,
        groups=layers.groups,
        m=pixels,
        n=layers.filters,
        k=window,
        product_inputs=layers.tensor / np.maximum(layers.groups, 1.0),
        tensor=layers.tensor,
        outputs=layers.outputs,
        biases=layers.biases,
        vector_operations=vector_operations,
        vector_reads=vector_reads,
        vector_inputs=vector_inputs,
        inputs_may_stay=takes_stayed,
        outputs_may_stay=keeps,
        bytes=layers.bits / 8,
        weight_bytes=layers.weight_bits / 8,
        macs=pixels * second,
        parameters=parameters,
        parameter_bytes=parameters * (layers.weight_bits / 8),
        activations=np.maximum(layers.tensor, vector_inputs) + second * matmul + layers.outputs,
    )


def _vector_passes(layers: LayerTable, at: Integers) -> tuple[Floats, Floats, Floats]:
    """Operations and reads for each output element of the vector unit's layers ``at``, and
    how many tensors come in.
    """
    kind = layers.kind[at]
    elementwise = kind == KIND_CODES[LayerKind.ELEMENTWISE]
    operands = np.where(elementwise, layers.operands[at], 1.0)
    window = layers.window_height[at] * layers.window_width[at]
    passes = np.where(kind == KIND_CODES[LayerKind.NORMALISATION], NORMALISATION_PASSES, window)
    operations = np.where(elementwise, np.maximum(operands - 1, 1.0), passes)
    return operations, np.where(elementwise, operands, passes), operands
