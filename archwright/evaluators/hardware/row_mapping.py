"""How layers are laid on a row-stationary array: the mapping, and what it delivers.

Sources, all on Eyeriss (Chen et al.): "ISCA": "Eyeriss: A Spatial Architecture for
Energy-Efficient Dataflow for Convolutional Neural Networks", ISCA 2016; "JSSC": "Eyeriss:
An Energy-Efficient Reconfigurable Accelerator for Deep Convolutional Neural Networks",
IEEE JSSC 52(1), 2017. The letters p, q, r, t, e are those of JSSC, table II.

A processing element slides one row of a filter over one row of an input map. A *set* of
(window rows) x (e output rows) elements makes e rows of one output map; the window's rows
are added up along the set's columns. An element interleaves p filters and q channels; sets
that are *stacked* (r) take different channels and add to the same sums, sets *beside* them
(t) take different filters of the same inputs, and the sets that remain take other groups.
A *pass* is what the array computes between two loads of its register files: p x t filters,
q x r channels and e rows, over a stretch of pixels (along the rows, image after image).

For every candidate of ``CANDIDATES`` a layer's cost does not fall when the layer grows: no
limit on a tile grows with another dimension, and a tile shrinks with its own dimension
only where nothing is left of it. So the least cost over the candidates does not fall either.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.cycles import ceil_div
from archwright.evaluators.hardware.layers import LayerRows

# JSSC, section V-C: an element's register files hold 12 inputs, 224 weights and 24 partial
# sums of 16 bits, 520 bytes; other sizes are divided in the same proportion.
REGISTER_FILE_BYTES = 520.0
INPUT_SHARE, WEIGHT_SHARE, SUM_SHARE = 24 / 520, 448 / 520, 48 / 520

SUM_BYTES = 2
"""Partial sums have 16 bits (JSSC, section V-C), unlike those of the systolic arrays."""

BANDS_HEIGHT = 3
"""Window rows that the depth of an element is made for: the most common window, 3 x 3."""


class Array(NamedTuple):
    """An array as the layers see it; words are operands of the layer's bits."""

    rows: Floats
    columns: Floats
    inputs: Floats  # words of an element's input register file
    filters: Floats  # that the register files let an element interleave
    bands: Floats  # sets of 3 rows, one above the other
    deep: Floats  # filters that an element interleaves where windows are tall
    shallow: Floats  # the same where windows are flat and more sets fit
    pixels: Floats  # of a pass: the output buffer holds their sums for the whole array
    stacked: Floats  # sets that add up to the same sums, at most
    sums: Floats  # words of the output buffer


def array_of(layers: LayerRows, hardware: HardwareColumns) -> Array:
    """The array of each hardware for the operands of each layer; shapes broadcast.

    The output buffer is divided between p and the pixels of a pass as evenly as the
    register files allow: few filters cost inputs that are read again, few pixels cost
    filters that are loaded again. As sums are added up in place, all of it is in use.
    """
    rows, columns = hardware["rows"], hardware["columns"]
    registers = np.maximum(hardware["register_file_bytes"], 1.0)
    inputs = np.maximum(np.floor(registers * INPUT_SHARE / layers.bytes), 1.0)
    filters = np.minimum(
        np.floor(np.floor(registers * WEIGHT_SHARE / layers.weight_bytes) / inputs),
        np.floor(registers * SUM_SHARE / SUM_BYTES),
    )
    sums = np.floor(hardware["output_buffer_kib"] * (1024 / SUM_BYTES))
    bands = np.maximum(np.floor(rows / BANDS_HEIGHT), 1.0)
    room = np.maximum(np.floor(sums / (bands * columns)), 1.0)
    deep = np.maximum(np.minimum(filters, np.ceil(np.sqrt(room))), 1.0)
    shallow = np.maximum(np.floor(deep * bands / rows), 1.0)
    in_flight = np.maximum(deep * bands, shallow * rows) * columns
    return Array(
        rows=rows,
        columns=columns,
        inputs=inputs,
        filters=np.maximum(filters, 1.0),
        bands=bands,
        deep=deep,
        shallow=shallow,
        pixels=np.maximum(np.floor(sums / in_flight), 1.0),
        stacked=np.maximum(np.floor(np.sqrt(bands)), 1.0),
        sums=sums,
    )


class Tiles(NamedTuple):
    """A layer's parts that are the same in every candidate."""

    window_folds: Floats  # parts of a window taller than the array or wider than a register file
    folded_height: Floats
    row_folds: Floats
    channels: Floats  # q: channels that an element interleaves, at most
    row_step: Floats  # new input rows for another output row
    stretches: Floats  # stretches of pixels, each a pass of its own
    row_words: Floats  # inputs of all images along one input row, over all folds of the width
    first_words: Floats  # inputs along one row that a pass needs before its first pixel


def tiles_of(layers: LayerRows, array: Array) -> Tiles:
    """Windows folded to the array's height and the input register file's width."""
    row_folds = ceil_div(layers.window_height, array.rows)
    height = ceil_div(layers.window_height, row_folds)
    column_folds = ceil_div(layers.window_width, array.inputs)
    width = ceil_div(layers.window_width, column_folds)
    pixels = layers.batch * layers.out_width
    stretches = ceil_div(pixels, array.pixels)
    step = np.minimum(layers.stride_width, width)
    # A stretch that begins within a row reads the window's overlap again, as a new row does.
    starts = layers.batch + stretches - 1
    return Tiles(
        window_folds=row_folds * column_folds,
        folded_height=height,
        row_folds=row_folds,
        channels=np.floor(array.inputs / width),
        row_step=np.minimum(layers.stride_height, height),
        stretches=stretches,
        row_words=column_folds * (step * pixels + starts * (width - step)),
        first_words=column_folds * width,
    )


class Candidate(NamedTuple):
    """A way to map layers. Strips of output rows are as many as all sets together have
    columns ("folded": a set wider than the array is cut and its parts lie one above the
    other), as many as the array has ("column") or half of these ("half").
    """

    strip: Literal["folded", "column", "half"]
    stack: bool  # whether sets are stacked at all
    deep: bool


CANDIDATES = (
    Candidate("folded", stack=True, deep=True),
    Candidate("column", stack=True, deep=True),
    Candidate("half", stack=False, deep=True),
    Candidate("column", stack=True, deep=False),
    Candidate("column", stack=False, deep=False),
)


class Mapping(NamedTuple):
    """One candidate's mapping of layers; counts are those of one group, unless they say so."""

    strips: Floats
    strip_rows: Floats  # e
    sets: Floats
    stacked: Floats  # r
    beside: Floats  # t
    spread: Floats  # groups side by side
    filters: Floats  # p
    group_rounds: Floats  # rounds over all groups
    filters_of_set: Floats
    channels_of_set: Floats
    filter_rounds: Floats
    channel_rounds: Floats  # over channels and the folds of the window
    input_rows: Floats  # rows of inputs delivered in all strips, over all folds of the window

    def active(self, layers: LayerRows, tiles: Tiles) -> Floats:
        """Elements that compute in a full pass; the others are clock gated (JSSC, IV-A)."""
        sets = self.stacked * self.beside * np.minimum(self.spread, layers.groups)
        found: Floats = tiles.folded_height * self.strip_rows * sets
        return found

    def where(self, chosen: npt.NDArray[np.bool_], other: Mapping) -> Mapping:
        """This mapping where ``chosen``, else the other."""
        return Mapping(*(np.where(chosen, a, b) for a, b in zip(self, other, strict=True)))


def map_layers(layers: LayerRows, array: Array, tiles: Tiles, candidate: Candidate) -> Mapping:
    """The mapping of each layer to each array under ``candidate``."""
    height, columns = tiles.folded_height, array.columns
    bands = np.floor(array.rows / height)
    if candidate.deep:
        bands = np.minimum(bands, array.bands)
    strips, strip_rows, sets = _strips(layers.out_height, bands, columns, candidate)
    stacked: Floats = np.minimum(sets, layers.channels)
    stacked = np.minimum(stacked, array.stacked if candidate.stack else 1.0)
    beside = np.minimum(np.floor(sets / stacked), layers.filters)
    spread = np.floor(sets / (stacked * beside))
    filters = array.deep if candidate.deep else array.shallow
    filters_of_set = ceil_div(layers.filters, beside)
    channels_of_set = ceil_div(layers.channels, stacked)
    step = tiles.row_step
    return Mapping(
        strips=strips,
        strip_rows=strip_rows,
        sets=sets,
        stacked=stacked,
        beside=beside,
        spread=spread,
        filters=filters,
        group_rounds=ceil_div(layers.groups, spread),
        filters_of_set=filters_of_set,
        channels_of_set=channels_of_set,
        filter_rounds=ceil_div(filters_of_set, filters),
        channel_rounds=ceil_div(channels_of_set, tiles.channels) * tiles.window_folds,
        input_rows=tiles.row_folds * (step * layers.out_height + strips * (height - step)),
    )


def _strips(
    out_height: Floats, bands: Floats, columns: Floats, candidate: Candidate
) -> tuple[Floats, Floats, Floats]:
    """Strips of output rows, their rows (all strips are nearly equal), and sets at once."""
    if candidate.strip == "folded":
        places = bands * columns  # a set's columns may lie anywhere: JSSC, figure 5, CONV2
        strips = ceil_div(out_height, places)
        rows = ceil_div(out_height, strips)
        return strips, rows, np.where(strips == 1, np.floor(places / rows), 1.0)
    longest = columns if candidate.strip == "column" else ceil_div(columns, 2)
    strips = ceil_div(out_height, longest)
    rows = ceil_div(out_height, strips)
    # One strip may be short and leave room for more sets; several are taken as full ones.
    return strips, rows, bands * np.floor(columns / np.where(strips == 1, rows, longest))
