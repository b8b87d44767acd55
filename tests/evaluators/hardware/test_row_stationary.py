"""The row-stationary array: its mapping, the measured chip Eyeriss, and its laws."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats, buffer_pj_per_byte
from archwright.evaluators.hardware.demand import Demand
from archwright.evaluators.hardware.layers import LayerRows, layer_rows
from archwright.evaluators.hardware.row_mapping import CANDIDATES, array_of, map_layers, tiles_of
from archwright.evaluators.hardware.row_stationary import (
    fastest_mapping,
    row_stationary_cycles,
    row_stationary_demand,
    row_stationary_too_small,
)
from archwright.workload import Layer, LayerKind, Workload

MEASURED = Path(__file__).parents[2] / "data" / "eyeriss_alexnet.csv"
PRESET = files("archwright.evaluators.hardware") / "presets" / "eyeriss.toml"
CONVOLUTION, LINEAR = LayerKind.CONVOLUTION, LayerKind.LINEAR
ALEXNET = (
    Layer("CONV1", CONVOLUTION, 3, 96, 227, 227, 55, 55, 11, 4),
    Layer("CONV2", CONVOLUTION, 96, 256, 27, 27, 27, 27, 5, groups=2),
    Layer("CONV3", CONVOLUTION, 256, 384, 13, 13, 13, 13, 3),
    Layer("CONV4", CONVOLUTION, 384, 384, 13, 13, 13, 13, 3, groups=2),
    Layer("CONV5", CONVOLUTION, 384, 256, 13, 13, 13, 13, 3, groups=2),
)


def hardware(**changes: float | Floats) -> HardwareColumns:
    """Eyeriss with ``changes``; as many points as they give values."""
    # The row-stationary demand is asked for by name: any dataflow that is known will do.
    point = tomllib.loads(PRESET.read_text(encoding="utf-8")) | changes
    size = max(np.size(value) for value in point.values())
    return HardwareColumns.checked({name: np.broadcast_to(v, size) for name, v in point.items()})


def rows(*layers: Layer, batch: int = 1, bits: int = 16) -> LayerRows:
    return layer_rows([Workload("w", layers, bits, batch)])


def measured(column: str) -> Floats:
    with MEASURED.open(encoding="utf-8", newline="") as file:
        return np.array([float(row[column]) for row in csv.DictReader(file)][:5])


def test_active_elements_are_those_of_the_chip() -> None:
    _, active = fastest_mapping(rows(*ALEXNET, batch=4), hardware())
    np.testing.assert_allclose(active, measured("Num. of Active PEs"), atol=1)


def test_latency_is_that_of_the_chip() -> None:
    asked = row_stationary_demand(rows(*ALEXNET, batch=4), hardware())
    reached_ms = asked.cycles / 200e3
    of_chip = measured("Processing Latency (ms)")
    np.testing.assert_allclose(reached_ms, of_chip, rtol=0.12)
    assert reached_ms.sum() == pytest.approx(of_chip.sum(), rel=0.06)


def test_the_first_layer_is_mapped_as_on_the_chip() -> None:
    # JSSC 2017, figure 5: two sets of 11 x 7; second layer: one of 5 x 27 in two parts.
    mapping, _ = fastest_mapping(rows(*ALEXNET[:2], batch=4), hardware())
    assert mapping.strip_rows.tolist() == [7, 27]
    assert mapping.strips.tolist() == [8, 1]
    assert (mapping.stacked * mapping.beside).tolist() == [2, 1]


def test_a_small_layer_counted_by_hand() -> None:
    """A 3x3 window, 4 channels, 16 filters, 13 rows of 10 pixels, on Eyeriss: one pass.

    Mapping: 4 sets of 3 x 13; 2 stacked (2 channels each), 2 beside (8 filters each).
    Load: 16 x 4 x 9 words over 4 a cycle, longer than 4 x 3 x 15 input words over 1.
    Compute: 8 filters x 2 channels x 3 columns x 10 pixels. Drain: 3 stages and 12 rows,
    and the 16 x 13 sums of the last pixel over 4 a cycle.
    """
    layer = Layer("x", CONVOLUTION, 4, 16, 13, 10, 13, 10, 3)
    asked = row_stationary_demand(rows(layer), hardware())
    load, compute, drain = 16 * 4 * 9 / 4, 4 * 12 * 15, 15 + 16 * 13 / 4
    # The inputs' network, 4 channels of 15 rows of 12 words, is slower than 480 steps.
    assert asked.cycles.tolist() == [max(load, 180) + max(8 * 2 * 3 * 10, compute) + drain]
    assert asked.folding.tolist() == [max(load, 180) + drain]
    assert asked.buffer_outputs.tolist() == [16 * 130 * (2 + 2)]  # written once, read once
    assert asked.buffer_weights.tolist() == [16 * 4 * 9 * 2]
    assert asked.buffer_inputs.tolist() == [4 * 15 * 12 * 2]


def test_cycles_alone_are_those_of_the_demand() -> None:
    layers = rows(*ALEXNET, batch=4)
    asked = row_stationary_demand(layers, hardware())
    np.testing.assert_array_equal(row_stationary_cycles(layers, hardware()), asked.cycles)


def test_layers_and_hardware_broadcast() -> None:
    layers = rows(*ALEXNET, batch=4)
    sides = np.array([8.0, 12.0, 32.0])
    three = hardware(rows=sides)
    crossed = row_stationary_demand(LayerRows(*(field[:, None] for field in layers)), three)
    for i, side in enumerate(sides):
        alone = row_stationary_demand(layers, hardware(rows=side))
        for name, value in alone._asdict().items():
            found = np.broadcast_to(getattr(crossed, name), (5, 3))[:, i]
            np.testing.assert_array_equal(found, np.broadcast_to(value, 5), err_msg=name)


@pytest.mark.parametrize(
    "layer",
    [
        Layer("tall window", CONVOLUTION, 3, 8, 60, 60, 30, 30, 31),
        Layer("depthwise", LayerKind.DEPTHWISE, 32, 32, 14, 14, 14, 14, 3),
        Layer("linear", LINEAR, 500, 100, 1, 1, 1, 1),
        Layer("tokens", LINEAR, 64, 192, 197, 1, 197, 1),
        Layer("attention", LayerKind.MATMUL, 64, 784, 196, 1, 196, 1, groups=4),
    ],
)
@pytest.mark.parametrize("side", [(1, 1), (12, 14), (256, 256)])
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_every_kind_of_layer_runs_no_faster_than_its_elements(
    layer: Layer, side: tuple[int, int], bits: int
) -> None:
    layers = rows(layer, bits=bits)
    point = hardware(rows=side[0], columns=side[1], output_buffer_kib=256)
    asked = row_stationary_demand(layers, point)
    _, active = fastest_mapping(layers, point)
    assert 1 <= active[0] <= side[0] * side[1]
    assert asked.cycles[0] >= layers.macs[0] / active[0]
    assert asked.dram_weights[0] >= layers.n[0] * layers.k[0] * layers.groups[0] * bits / 8
    for value in asked:
        assert np.all(np.isfinite(value))
        assert np.all(value >= 0)
        assert np.all(value * 8 == np.round(value * 8))


def test_depthwise_groups_share_the_array() -> None:
    depthwise = Layer("d", LayerKind.DEPTHWISE, 32, 32, 13, 13, 13, 13, 3)
    mapping, active = fastest_mapping(rows(depthwise), hardware())
    assert mapping.spread.tolist() == [4]
    assert active.tolist() == [156]


def test_no_candidate_uses_more_elements_than_there_are() -> None:
    layers, point = rows(*ALEXNET, batch=4), hardware()
    array = array_of(layers, point)
    tiles = tiles_of(layers, array)
    for candidate in CANDIDATES:
        found = map_layers(layers, array, tiles, candidate).active(layers, tiles)
        assert np.all((found >= 1) & (found <= 12 * 14))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("register_file_bytes", 20),
        ("input_buffer_kib", 1 / 64),
        ("weight_buffer_kib", 1 / 64),
        ("output_buffer_kib", 0.25),
    ],
)
def test_memories_below_one_operand_are_named(key: str, value: float) -> None:
    small = row_stationary_too_small(hardware(**{key: value}), 16)
    assert [name for name, found in small.items() if found[0]] == [key]
    assert not any(found[0] for found in row_stationary_too_small(hardware(), 16).values())


# Laws

sides = st.one_of(st.integers(1, 40), st.sampled_from([64, 256]))
kibs = st.sampled_from([0.25, 0.5, 1.0, 3.0, 8.0, 40.0, 84.0])
points = st.builds(
    hardware,
    rows=sides,
    columns=sides,
    input_buffer_kib=kibs,
    weight_buffer_kib=kibs,
    output_buffer_kib=kibs,
    dram_gb_per_s=st.sampled_from([0.1, 0.5, 3.0, 20.0]),
    register_file_bytes=st.sampled_from([20, 64, 260, 520, 1040]),
)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from([CONVOLUTION, LayerKind.DEPTHWISE, LINEAR, LayerKind.MATMUL]))
    groups = draw(st.integers(1, 6)) if kind in (CONVOLUTION, LayerKind.MATMUL) else 1
    channels = groups * draw(st.integers(1, 40))
    outputs = channels if kind is LayerKind.DEPTHWISE else groups * draw(st.integers(1, 60))
    window, stride, width = (1, 1), (1, 1), 1
    height = draw(st.integers(1, 70))
    if kind in (CONVOLUTION, LayerKind.DEPTHWISE):
        width = draw(st.integers(1, 70))
        window = (draw(st.integers(1, 20)), draw(st.integers(1, 20)))
        stride = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return Layer(
        *("x", kind, channels, outputs, height * stride[0], width * stride[1], height, width),
        kernel=window[0],
        kernel_width=window[1],
        stride=stride[0],
        stride_width=stride[1],
        groups=groups,
    )


def grown(layer: Layer, batch: int, data: st.DataObject) -> tuple[Layer, int]:
    """The layer, or the batch, with one dimension larger."""
    by = data.draw(st.integers(1, 30), label="by")
    convolution = layer.kind in (CONVOLUTION, LayerKind.DEPTHWISE)
    names = ["batch", "out_height", "in_channels"]
    names += ["out_channels"] * (layer.kind is not LayerKind.DEPTHWISE)
    names += ["out_width", "kernel", "kernel_width", "square"] * convolution
    match data.draw(st.sampled_from(names), label="dimension"):
        case "batch":
            return layer, batch + by
        case "in_channels" | "out_channels" as name:
            more = {name: getattr(layer, name) + by * layer.groups}
            if layer.kind is LayerKind.DEPTHWISE:
                more["out_channels"] = more["in_channels"]
            return replace(layer, **more), batch
        case "square":
            width = layer.window[1] + by
            return replace(layer, kernel=layer.kernel + by, kernel_width=width), batch
        case "out_height":
            high = layer.out_height + by
            return replace(layer, out_height=high, in_height=high * layer.stride), batch
        case "out_width":
            wide = layer.out_width + by
            return replace(layer, out_width=wide, in_width=wide * layer.strides[1]), batch
        case name:
            return replace(layer, **{name: (getattr(layer, name) or layer.kernel) + by}), batch


def with_stalls(asked: Demand, point: HardwareColumns) -> float:
    filled = np.ceil(asked.first_fill * point.cycles_per_byte) + asked.cycles
    return float(np.maximum(filled, np.ceil(asked.dram * point.cycles_per_byte))[0])


def dynamic_energies(asked: Demand, point: HardwareColumns) -> dict[str, float]:
    buffers = sum(
        moved * buffer_pj_per_byte(point[f"{name}_buffer_kib"])
        for name, moved in (
            ("input", asked.buffer_inputs),
            ("weight", asked.buffer_weights),
            ("output", asked.buffer_outputs),
        )
    )
    registers = asked.register_inputs + asked.register_weights + asked.register_outputs
    parts = {"buffers": buffers, "registers": registers, "array": asked.array_bytes}
    return {name: float(np.ravel(part)[0]) for name, part in (parts | {"dram": asked.dram}).items()}


@settings(max_examples=500, deadline=None)
@given(layer=layers(), point=points, batch=st.integers(1, 5), data=st.data())
def test_growing_a_dimension_lowers_neither_cycles_nor_energy(
    layer: Layer, point: HardwareColumns, batch: int, data: st.DataObject
) -> None:
    larger, more = grown(layer, batch, data)
    small = row_stationary_demand(rows(layer, batch=batch), point)
    large = row_stationary_demand(rows(larger, batch=more), point)
    assert large.cycles[0] >= small.cycles[0]
    assert with_stalls(large, point) >= with_stalls(small, point)
    before, after = dynamic_energies(small, point), dynamic_energies(large, point)
    for name in before:
        assert after[name] >= before[name] * (1 - 1e-12), name


@settings(max_examples=200, deadline=None)
@given(
    layer=layers(),
    point=points,
    name=st.sampled_from(["input_buffer_kib", "weight_buffer_kib", "output_buffer_kib"]),
    factor=st.floats(1, 100),
)
def test_a_larger_buffer_never_adds_dram_traffic_of_rows(
    layer: Layer, point: HardwareColumns, name: str, factor: float
) -> None:
    larger = hardware(**(dict(point.values) | {name: point[name] * factor}))
    before, after = (row_stationary_demand(rows(layer), p).dram[0] for p in (point, larger))
    assert after <= before


@settings(max_examples=200, deadline=None)
@given(layer=layers(), point=points)
def test_buffers_hold_what_the_demand_says(layer: Layer, point: HardwareColumns) -> None:
    asked = row_stationary_demand(rows(layer), point)
    for name in ("input", "weight", "output"):
        peak = getattr(asked, f"peak_{name}s")
        assert 0 < peak[0] <= point[f"{name}_buffer_kib"][0] * 512
    assert 0 < asked.folding[0] < asked.cycles[0]
