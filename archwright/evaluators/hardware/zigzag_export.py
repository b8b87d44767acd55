"""A workload as ZigZag 3.9.1 describes one: a list of layers, each a nest of loops.

Loops have the names that ZigZag gives to the same operators of ONNX files, so that a
mapping written for those fits:

- convolutions: B inputs, G groups, K filters and C channels of one group, OY x OX output
  pixels, FY x FX window. A depthwise layer has a group for each channel.
- linear layers: D tokens of all inputs, C inputs, K outputs. Matmuls: B inputs, H groups
  (heads) and D x C times C x K.
- pooling: a sum over the window for each of G channels; additions of two operands.

ZigZag knows no others: normalisations, and element-by-element layers with another number
of operands, are left out. Layers are taken as a chain, as the analytical model takes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archwright.errors import UserError
from archwright.evaluators.hardware.costs import ACCUMULATOR_BYTES
from archwright.workload import Layer, LayerKind, Workload

ZigZagLayer = dict[str, Any]

_CONVOLUTION = "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]"
_LINEAR = "O[d][k]+=I[d][c]*W[c][k]"
_GROUPED_LINEAR = "O[h][d][k]+=I[h][d][c]*W[h][c][k]"
_MATMUL = "O[b][h][d][k]+=I[b][h][d][c]*W[b][h][c][k]"
_POOLING = "O[b][g][oy][ox]+=W[fy][fx]*I[b][g][iy][ix]"
_ADDITION = "O[b][g][oy][ox]=W[b][g][oy][ox]+I[b][g][oy][ox]"


def zigzag_workload(
    workload: Workload, vector_unit: bool = False, sum_bits: int = 8 * ACCUMULATOR_BYTES
) -> list[ZigZagLayer]:
    """The layers that run on the array; with ``vector_unit``, pooling and additions, too.

    The loop sizes of an array layer multiply up to its multiply-accumulates for the
    whole batch. Results leave at the workload's bits; partial sums have ``sum_bits``, by
    default those of the analytical model's accumulators (the accelerators that ZigZag
    ships hold 16). Raises :class:`UserError` where nothing is left.
    """
    layers = [layer for layer in workload.layers if _is_known(layer, vector_unit)]
    if not layers:
        raise UserError(f"workload {workload.name}: it has no layer that ZigZag knows")
    return [_layer(number, layer, workload, sum_bits) for number, layer in enumerate(layers)]


def export_zigzag(workload: Workload, file: Path, vector_unit: bool = False) -> None:
    """Write :func:`zigzag_workload` to ``file``, a YAML file: JSON, which YAML contains.

    ZigZag takes only names that end in ".yaml". Raises :class:`UserError` for others.
    """
    if file.suffix != ".yaml":
        raise UserError(f"{file}: ZigZag takes only workload files that end in .yaml")
    layers = ",\n".join(json.dumps(layer) for layer in zigzag_workload(workload, vector_unit))
    file.write_text(f"[\n{layers}\n]\n", encoding="utf-8")


def _is_known(layer: Layer, vector_unit: bool) -> bool:
    addition = layer.kind is LayerKind.ELEMENTWISE and layer.operands == 2
    return layer.on_array or (vector_unit and (layer.kind is LayerKind.POOLING or addition))


def _layer(number: int, layer: Layer, workload: Workload, sum_bits: int) -> ZigZagLayer:
    operator, equation, loops = _nest(layer, workload.batch)
    bits = workload.bits
    weight_bits = bits if layer.kind is LayerKind.MATMUL else workload.bits_of_weights
    has_window = "FX" in loops
    has_weights = layer.kind is LayerKind.POOLING or layer.weight_elements > 0
    before = max(0, number - 1)  # the first layer's input is its own: constant
    described: ZigZagLayer = {
        "id": number,
        "name": layer.name,
        "operator_type": operator,
        "equation": equation,
        "dimension_relations": _relations(layer) if has_window else [],
        "loop_dims": list(loops),
        "loop_sizes": list(loops.values()),
        "operand_precision": {
            # The filter of a pooling is none: ZigZag's equations need one, of no bits.
            "W": 0 if layer.kind is LayerKind.POOLING else weight_bits,
            "I": bits,
            "O": sum_bits,
            "O_final": bits,
        },
        "operand_source": {"W": number if has_weights else before, "I": before},
    }
    if has_window:
        described |= {
            "pr_loop_dims": ["IY", "IX"],
            "pr_loop_sizes": [layer.in_height, layer.in_width],
            "padding": _padding(layer),
        }
    return described


def _nest(layer: Layer, batch: int) -> tuple[str, str, dict[str, int]]:
    """ZigZag's operator type, its equation, and its loops with their sizes."""
    pixels = {"OY": layer.out_height, "OX": layer.out_width}
    window = dict(zip(("FY", "FX"), layer.window, strict=True))
    if layer.kind is LayerKind.POOLING:
        return "Pooling", _POOLING, {"B": batch, "G": layer.out_channels, **pixels, **window}
    if layer.kind is LayerKind.ELEMENTWISE:
        return "Add", _ADDITION, {"B": batch, "G": layer.out_channels, **pixels}
    m, n, k, groups = layer.gemm
    if layer.kind is LayerKind.MATMUL:
        return "Gemm", _MATMUL, {"B": batch, "H": groups, "D": m, "C": k, "K": n}
    if layer.kind is LayerKind.LINEAR:
        loops = {"D": m * batch, "C": k, "K": n}
        if groups == 1:
            return "Gemm", _LINEAR, loops
        return "Gemm", _GROUPED_LINEAR, {"H": groups, **loops}
    sizes = {"B": batch, "G": groups, "K": n, **pixels, "C": layer.in_channels // groups}
    return "Conv", _CONVOLUTION, {**sizes, **window}


def _relations(layer: Layer) -> list[str]:
    """Where in the input a window's pixel lies."""
    sides = zip(("y", "x"), layer.strides, layer.dilations, strict=True)
    return [f"i{side}={stride}*o{side}+{dilation}*f{side}" for side, stride, dilation in sides]


def _padding(layer: Layer) -> list[list[int]]:
    """Rows and columns before and after the input that the windows reach over."""
    sides = zip(
        (layer.in_height, layer.in_width),
        (layer.out_height, layer.out_width),
        layer.window,
        layer.strides,
        layer.dilations,
        strict=True,
    )
    padding = []
    for inputs, outputs, window, stride, dilation in sides:
        missing = max(0, (outputs - 1) * stride + (window - 1) * dilation + 1 - inputs)
        padding.append([missing // 2, missing - missing // 2])
    return padding
