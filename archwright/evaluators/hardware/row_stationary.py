"""What products ask of a row-stationary array like Eyeriss: cycles and bytes.

See ``row_mapping`` for the mapping and the sources. A pass takes

    load + compute + drain

cycles. *Load*: the register files of weights and of input windows are filled (they hold
one pass only) over two networks that work side by side; *compute*: the elements, the
inputs' network and the sums' network, whichever is slowest; *drain*: the last sums leave
through the elements above and the sums' network. Nothing of this is fitted.

Cycles are those of the fastest candidate, buffer traffic that of the most frugal one: a
mapping made for speed and one made for energy may differ, and the model is optimistic
about both where they do. (So neither falls when a layer grows.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats, buffer_pj_per_byte
from archwright.evaluators.hardware.cycles import ceil_div
from archwright.evaluators.hardware.demand import Demand
from archwright.evaluators.hardware.layers import LayerRows
from archwright.evaluators.hardware.row_mapping import (
    CANDIDATES,
    INPUT_SHARE,
    SUM_BYTES,
    SUM_SHARE,
    Array,
    Mapping,
    Tiles,
    array_of,
    map_layers,
    tiles_of,
)

# JSSC, section V-B: from the buffer into the array 64 bits of weights, 16 bits of inputs and
# 64 bits of sums a cycle, and 64 bits of sums back, each over a network of its own that
# reaches any group of elements in one cycle. Eyeriss has 14 columns; an array with more has
# these networks once more for every further 14, or part of 14, columns (estimated).
WEIGHT_NETWORK_BYTES, INPUT_NETWORK_BYTES, SUM_NETWORK_BYTES = 8.0, 2.0, 8.0
NETWORK_COLUMNS = 14

STAGES = 3
"""Pipeline stages of an element: JSSC, section V-C."""


class _Time(NamedTuple):
    """Cycles of a layer: all, and those in which the array is loaded or drained."""

    cycles: Floats
    folding: Floats

    def where(self, chosen: npt.NDArray[np.bool_], other: _Time) -> _Time:
        """This time where ``chosen``, else the other."""
        return _Time(*(np.where(chosen, a, b) for a, b in zip(self, other, strict=True)))


def row_stationary_demand(layers: LayerRows, hardware: HardwareColumns) -> Demand:
    """What the products of ``layers`` ask under "rs"; shapes broadcast.

    The register files' size must be given (``register_file_bytes``); where
    :func:`row_stationary_too_small` says so, the demand is finite but means nothing.
    """
    array = array_of(layers, hardware)
    tiles = tiles_of(layers, array)
    size, weight_size = layers.bytes, layers.weight_bytes
    prices = [
        buffer_pj_per_byte(hardware[f"{name}_buffer_kib"]) for name in ("input", "weight", "output")
    ]
    for number, candidate in enumerate(CANDIDATES):
        mapping = map_layers(layers, array, tiles, candidate)
        words = _words(layers, tiles, mapping)
        taken = _time(layers, array, tiles, mapping, words)
        moved = _buffer_bytes(layers, words)
        energy = moved[0] * prices[0] + moved[1] * prices[1] + moved[2] * prices[2]
        if number == 0:
            time, traffic, least = taken, moved, energy
            continue
        time = taken.where(taken.cycles < time.cycles, time)
        traffic = [np.where(energy < least, a, b) for a, b in zip(moved, traffic, strict=True)]
        least = np.minimum(energy, least)

    window = layers.window_height * layers.window_width
    first_inputs = layers.window_width * _span(
        np.minimum(layers.out_height, array.columns), layers.stride_height, layers.window_height
    )
    delivered_inputs, delivered_weights, passed_sums = _deliveries(layers, array, tiles)
    dram = _dram(layers, hardware, array)
    half_inputs = hardware["input_buffer_kib"] * 512
    half_weights = hardware["weight_buffer_kib"] * 512
    of_pass = np.minimum(layers.filters, array.deep) * np.minimum(layers.channels, tiles.channels)
    return Demand(
        cycles=time.cycles,
        folding=time.folding,
        fill_inputs=first_inputs * size,
        fill_weights=window * weight_size,
        dram_inputs=dram.inputs,
        dram_weights=dram.weights,
        dram_outputs=layers.groups * layers.n * layers.m * size,
        buffer_inputs=traffic[0],
        buffer_weights=traffic[1],
        buffer_outputs=traffic[2],
        peak_inputs=np.maximum(dram.held_inputs, _at_most(first_inputs * size, half_inputs)),
        peak_weights=np.maximum(
            dram.held_weights, _at_most(of_pass * window * weight_size, half_weights)
        ),
        # Sums are added up in place and use the whole buffer: half of what they need.
        peak_outputs=_at_most(
            dram.held_sums * (SUM_BYTES / 2), hardware["output_buffer_kib"] * 512
        ),
        # Of every multiply-accumulate: an input and a weight read, a sum read and written.
        register_inputs=(layers.macs + delivered_inputs) * size,
        register_weights=(layers.macs + delivered_weights) * weight_size,
        register_outputs=2 * SUM_BYTES * layers.macs,
        array_bytes=delivered_inputs * size
        + delivered_weights * weight_size
        + passed_sums * SUM_BYTES,
    )


def row_stationary_cycles(layers: LayerRows, hardware: HardwareColumns) -> Floats:
    """Cycles of the products alone, as in :func:`row_stationary_demand`."""
    array = array_of(layers, hardware)
    tiles = tiles_of(layers, array)
    cycles: Floats = np.full((), np.inf)
    for candidate in CANDIDATES:
        mapping = map_layers(layers, array, tiles, candidate)
        words = _words(layers, tiles, mapping)
        cycles = np.minimum(cycles, _time(layers, array, tiles, mapping, words).cycles)
    return cycles


def fastest_mapping(layers: LayerRows, hardware: HardwareColumns) -> tuple[Mapping, Floats]:
    """The mapping with the fewest cycles, and the elements that it keeps active."""
    array = array_of(layers, hardware)
    tiles = tiles_of(layers, array)
    best = map_layers(layers, array, tiles, CANDIDATES[0])
    least = _time(layers, array, tiles, best, _words(layers, tiles, best)).cycles
    for candidate in CANDIDATES[1:]:
        mapping = map_layers(layers, array, tiles, candidate)
        cycles = _time(layers, array, tiles, mapping, _words(layers, tiles, mapping)).cycles
        best = mapping.where(cycles < least, best)
        least = np.minimum(cycles, least)
    return best, best.active(layers, tiles)


def row_stationary_too_small(
    hardware: HardwareColumns, bits: Floats | float
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which memories a row-stationary array cannot do with, for operands of ``bits``.

    A register file must hold an input and a sum, half of the input and of the weight
    buffer an operand for each row or column, whichever are more, and the output buffer,
    whole, a sum for each element.
    """
    registers = hardware["register_file_bytes"]
    operands = np.maximum(hardware["rows"], hardware["columns"]) * bits / 8
    elements = hardware["rows"] * hardware["columns"]
    return {
        "register_file_bytes": (registers * INPUT_SHARE < bits / 8)
        | (registers * SUM_SHARE < SUM_BYTES),
        "input_buffer_kib": hardware["input_buffer_kib"] * 512 < operands,
        "weight_buffer_kib": hardware["weight_buffer_kib"] * 512 < operands,
        "output_buffer_kib": hardware["output_buffer_kib"] * 1024 < elements * SUM_BYTES,
    }


class _Words(NamedTuple):
    """Words that pass from the buffers to the array, and sums that pass back from it."""

    weights: Floats
    inputs: Floats
    first_inputs: Floats  # those of ``inputs`` that passes wait for before their first pixel
    sums: Floats


def _words(layers: LayerRows, tiles: Tiles, mapping: Mapping) -> _Words:
    """A pass reads each operand once and reaches all elements that need it (JSSC, IV-A)."""
    filters = layers.groups * layers.filters
    rows = layers.groups * layers.channels * mapping.filter_rounds * mapping.input_rows
    return _Words(
        weights=filters * layers.k * mapping.strips * tiles.stretches,
        inputs=rows * tiles.row_words,
        first_inputs=rows * tiles.stretches * tiles.first_words,
        sums=filters * layers.m * mapping.channel_rounds,
    )


def _time(layers: LayerRows, array: Array, tiles: Tiles, mapping: Mapping, words: _Words) -> _Time:
    """Cycles of all passes of a mapping."""
    networks = ceil_div(array.columns, NETWORK_COLUMNS)
    inputs = networks * (INPUT_NETWORK_BYTES / layers.bytes)  # words in a cycle
    weights = networks * (WEIGHT_NETWORK_BYTES / layers.weight_bytes)
    sums = networks * (SUM_NETWORK_BYTES / SUM_BYTES)

    load = np.maximum(ceil_div(words.weights, weights), ceil_div(words.first_inputs, inputs))
    rows = mapping.strips * tiles.row_folds * mapping.group_rounds
    macs = mapping.filters_of_set * mapping.channels_of_set * layers.window_width
    compute = np.maximum(
        rows * layers.batch * layers.out_width * macs,
        np.maximum(ceil_div(words.inputs, inputs), ceil_div(words.sums, sums)),
    )
    rounds = mapping.channel_rounds * tiles.stretches
    passes = mapping.strips * mapping.group_rounds * mapping.filter_rounds * rounds
    last_sums = layers.groups * layers.filters * layers.out_height * rounds
    drain = passes * (STAGES + array.rows) + ceil_div(last_sums, sums)
    return _Time(load + compute + drain, load + drain)


def _buffer_bytes(layers: LayerRows, words: _Words) -> list[Floats]:
    """Bytes of inputs, weights and outputs that the buffers give and take."""
    results = layers.groups * layers.filters * layers.m
    # Every round of channels writes its sums, all but the first read them first; results leave.
    outputs = (2 * words.sums - results) * SUM_BYTES + results * layers.bytes
    return [words.inputs * layers.bytes, words.weights * layers.weight_bytes, outputs]


def _deliveries(layers: LayerRows, array: Array, tiles: Tiles) -> tuple[Floats, Floats, Floats]:
    """Inputs and weights that elements receive, and sums that they pass on.

    Averages over the candidates' sizes: p filters for each input row of an element.
    """
    maps = layers.groups * layers.channels * layers.window_height * layers.out_height
    filters = layers.groups * layers.filters
    again = np.maximum(layers.filters / array.deep, 1.0)
    inputs = np.ceil(maps * tiles.row_words * again)
    weights = filters * layers.k * layers.out_height * tiles.stretches
    folds = tiles.window_folds / tiles.row_folds
    hops = layers.window_height * folds * ceil_div(layers.channels, tiles.channels)
    return inputs, weights, filters * layers.m * hops


class _Dram(NamedTuple):
    """Bytes from DRAM, bytes of inputs and weights that are kept for it, and sums held."""

    inputs: Floats
    weights: Floats
    held_inputs: Floats
    held_weights: Floats
    held_sums: Floats


def _dram(layers: LayerRows, hardware: HardwareColumns, array: Array) -> _Dram:
    """What comes from DRAM: the cheaper of two loop orders. An operand that fits comes once.

    Pixels outside (as on Eyeriss): all weights come for every tile of pixels, inputs once
    for as many filters as the output buffer has sums for; a tile is small enough that
    these are at least a full array's.
    Filters outside: as many filters as fit half the weight buffer (at least those of an
    element) are kept, and all inputs come for each such block. What neighbouring strips
    share is taken as kept.
    """
    size = layers.bytes
    half_inputs = hardware["input_buffer_kib"] * 512
    half_weights = hardware["weight_buffer_kib"] * 512
    inputs = layers.product_inputs * size
    filter_bytes = layers.k * layers.weight_bytes
    weights = layers.n * filter_bytes
    inputs_fit, weights_fit = inputs <= half_inputs, weights <= half_weights

    all_pixels = layers.batch * layers.out_width
    full = array.filters * array.bands * array.columns
    most_pixels = np.maximum(np.floor(array.sums / full), 1.0)
    pixels = np.minimum(most_pixels, all_pixels)
    rows = np.minimum(layers.out_height, array.columns)
    tile_count = ceil_div(layers.out_height, array.columns) * ceil_div(all_pixels, most_pixels)
    filters = np.floor(np.maximum(np.minimum(full, array.sums), array.sums / all_pixels) / rows)
    filters = np.maximum(filters, 1.0)
    outer_inputs = inputs * np.where(inputs_fit, 1.0, ceil_div(layers.filters, filters))
    outer_weights = weights * np.where(weights_fit, 1.0, tile_count)

    kept = np.floor(half_weights / filter_bytes)
    can_keep = kept >= np.minimum(array.filters, layers.filters)
    blocks = ceil_div(layers.filters, np.maximum(kept, 1.0))
    inner_inputs = inputs * np.where(inputs_fit, 1.0, blocks)

    inner = can_keep & (inner_inputs + weights < outer_inputs + outer_weights)
    return _Dram(
        inputs=layers.groups * np.where(inner, inner_inputs, outer_inputs),
        weights=layers.groups * np.where(inner, weights, outer_weights),
        held_inputs=np.where(inputs_fit, inputs, 0.0),
        held_weights=np.where(weights_fit, weights, np.where(inner, kept * filter_bytes, 0.0)),
        held_sums=np.minimum(filters, layers.filters) * rows * pixels,
    )


def _span(outputs: Floats, stride: Floats, window: Floats) -> Floats:
    """Inputs along one direction that ``outputs`` windows touch."""
    span: Floats = (outputs - 1) * np.minimum(stride, window) + window
    return span


def _at_most(amount: Floats, limit: Floats) -> Floats:
    found: Floats = np.minimum(amount, limit)
    return found
