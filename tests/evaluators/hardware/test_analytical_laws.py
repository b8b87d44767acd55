"""What must hold for every layer and hardware: properties of the analytical model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.evaluators.hardware import OUTPUTS, AnalyticalModel, LayerCost, blocks
from archwright.evaluators.hardware.columns import ALL_DATAFLOWS
from archwright.workload import Layer, LayerKind, Workload

MODEL = AnalyticalModel()
BUFFERS = ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib")
ROUNDING = 1 - 1e-12

Point = dict[str, object]


def _least_outputs(point: Point) -> object:
    """The point's output buffer, or one that holds a sum for each row-stationary element."""
    rows, columns, kib = point["rows"], point["columns"], point["output_buffer_kib"]
    return max(kib, rows * columns * 2 / 1024) if point["dataflow"] == "rs" else kib


points = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 32),
        "columns": st.integers(1, 32),
        "dataflow": st.sampled_from(ALL_DATAFLOWS),
        **{name: st.sampled_from([0.25, 0.5, 1, 3, 8, 40]) for name in BUFFERS},
        "dram_gb_per_s": st.sampled_from([0.1, 0.5, 3.0, 20.0]),
        "clock_mhz": st.sampled_from([150, 400, 800]),
        "bits": st.just(16),
    }
).map(lambda point: {**point, "output_buffer_kib": _least_outputs(point)})
systolic_points = points.filter(lambda point: point["dataflow"] != "rs")
bits = st.sampled_from([4, 8, 16])
batches = st.sampled_from([1, 1, 2, 5])

GROWTHS = {
    LayerKind.CONVOLUTION: (
        *("height", "width", "in_height", "in_width", "kernel", "kernel_width"),
        *("inputs", "outputs", "groups"),
    ),
    LayerKind.DEPTHWISE: ("height", "width", "in_height", "kernel", "kernel_width", "channels"),
    LayerKind.LINEAR: ("height", "inputs", "outputs"),
    LayerKind.MATMUL: ("height", "inputs", "outputs", "groups"),
    LayerKind.POOLING: ("height", "width", "in_height", "kernel", "channels"),
    LayerKind.ELEMENTWISE: ("height", "width", "channels", "operands"),
    LayerKind.NORMALISATION: ("height", "width", "channels"),
}
"""The dimensions of each kind; "height" is that of inputs and outputs, or the tokens."""


@st.composite
def layers(draw: st.DrawFn, kind: LayerKind | None = None) -> Layer:
    kind = kind or draw(st.sampled_from(list(LayerKind)))
    groups = draw(st.integers(1, 4)) if "groups" in GROWTHS[kind] else 1
    inputs = groups * draw(st.integers(1, 70 // groups))
    outputs = groups * draw(st.integers(1, 70 // groups)) if "outputs" in GROWTHS[kind] else inputs
    height = draw(st.integers(1, 20))
    width = draw(st.integers(1, 20)) if "width" in GROWTHS[kind] else 1
    kernel = draw(st.sampled_from([1, 3, 5])) if "kernel" in GROWTHS[kind] else 1
    stride = draw(st.sampled_from([1, 2])) if kernel > 1 else 1
    return Layer(
        *("x", kind, inputs, outputs, height * stride, width * stride, height, width),
        kernel=kernel,
        stride=stride,
        kernel_width=draw(st.sampled_from([None, 1, 4])) if kernel > 1 else None,
        bias=draw(st.booleans()),
        groups=groups,
        operands=draw(st.integers(1, 3)),
    )


def grown(layer: Layer, name: str, by: int) -> Layer:
    """The layer with one of its dimensions larger."""
    match name:
        case "height" | "width":
            moved = {f"{side}_{name}": getattr(layer, f"{side}_{name}") + by for side in OUT_AND_IN}
            return replace(layer, **moved)
        case "kernel_width":
            return replace(layer, kernel_width=(layer.kernel_width or layer.kernel) + by)
        case "kernel":
            kernel_width = layer.kernel_width or layer.kernel
            return replace(layer, kernel=layer.kernel + by, kernel_width=kernel_width)
        case "inputs":
            return replace(layer, in_channels=layer.in_channels + by * layer.groups)
        case "outputs":
            return replace(layer, out_channels=layer.out_channels + by * layer.groups)
        case "channels":
            return replace(
                layer, in_channels=layer.in_channels + by, out_channels=layer.out_channels + by
            )
        case "groups":  # more products of the same size
            groups = layer.groups + by
            return replace(
                layer,
                in_channels=layer.in_channels // layer.groups * groups,
                out_channels=layer.out_channels // layer.groups * groups,
                groups=groups,
            )
    return replace(layer, **{name: getattr(layer, name) + by})


OUT_AND_IN = ("in", "out")


def around(layer: Layer, bits: int, batch: int = 1) -> Workload:
    """The layer between two others that it fits, so that its activations may stay on the chip."""
    into = (layer.in_channels, layer.in_channels, *(layer.in_height, layer.in_width) * 2)
    out = (layer.out_channels, layer.out_channels, *(layer.out_height, layer.out_width) * 2)
    before = Layer("before", LayerKind.NORMALISATION, *into)
    after = Layer("after", LayerKind.NORMALISATION, *out)
    return Workload("w", (before, layer, after), bits, batch)


def cost(layer: Layer, point: Point, bits: int, batch: int) -> LayerCost:
    return MODEL.per_layer(around(layer, bits, batch), point)[1]


@settings(max_examples=100, deadline=None)
@given(layer=layers(), point=points, bits=bits, batch=batches, factor=st.floats(1, 100))
def test_more_bandwidth_never_slows_a_layer(
    layer: Layer, point: Point, bits: int, batch: int, factor: float
) -> None:
    more = {**point, "dram_gb_per_s": point["dram_gb_per_s"] * factor}
    slow, fast = (cost(layer, p, bits, batch) for p in (point, more))
    assert fast.total_cycles <= slow.total_cycles


@settings(max_examples=100, deadline=None)
@given(
    layer=layers(),
    point=points,
    bits=bits,
    batch=batches,
    name=st.sampled_from(BUFFERS),
    factor=st.floats(1, 100),
)
def test_a_larger_buffer_never_adds_dram_traffic(
    layer: Layer, point: Point, bits: int, batch: int, name: str, factor: float
) -> None:
    larger = {**point, name: point[name] * factor}
    before, after = (sum(cost(layer, p, bits, batch).dram_bytes.values()) for p in (point, larger))
    assert after <= before


@settings(max_examples=100, deadline=None)
@given(layer=layers(), point=systolic_points, bits=bits, batch=batches)
def test_buffers_of_the_peak_need_serve_as_well(
    layer: Layer, point: Point, bits: int, batch: int
) -> None:
    workload = around(layer, bits, batch)
    names = [f"peak_bytes.{name.removesuffix('_kib')}" for name in BUFFERS]
    asked = MODEL.evaluate([workload], point, metrics=("dram_bytes", *names))
    least = 2 * max(point["rows"] * bits / 8, point["columns"] * 4)
    tight = dict(point)
    for name, peak in zip(BUFFERS, (asked[name].item() for name in names), strict=True):
        assert peak <= point[name] * 1024 or not np.isfinite(peak)
        tight[name] = min(max(peak, least) / 1024, point[name])
    assert MODEL.evaluate([workload], tight)["dram_bytes"] == asked["dram_bytes"]


@pytest.mark.parametrize("kind", list(LayerKind))
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_growing_a_dimension_never_lowers_cycles_or_energy(
    kind: LayerKind, data: st.DataObject
) -> None:
    layer = data.draw(layers(kind), label="layer")
    name = data.draw(st.sampled_from([*GROWTHS[kind], "batch"]), label="grows")
    point = data.draw(points, label="point")
    operand_bits, batch = data.draw(bits, label="bits"), data.draw(batches, label="batch")
    by = data.draw(st.integers(1, 30), label="by")
    small = cost(layer, point, operand_bits, batch)
    if name == "batch":
        large = cost(layer, point, operand_bits, batch + by)
    else:
        large = cost(grown(layer, name, by), point, operand_bits, batch)
    assert large.cycles >= small.cycles
    assert large.total_cycles >= small.total_cycles
    assert sum(large.energy_uj.values()) >= ROUNDING * sum(small.energy_uj.values())


@settings(max_examples=30, deadline=None)
@given(
    chains=st.lists(
        st.tuples(st.lists(layers(), min_size=1, max_size=5), bits, batches),
        min_size=1,
        max_size=5,
    ),
    drawn=st.lists(points, min_size=5, max_size=40),
    size=st.sampled_from([1, 7, blocks.BLOCK_ELEMENTS]),
)
def test_results_do_not_depend_on_the_company(
    chains: list[tuple[list[Layer], int, int]], drawn: list[Point], size: int
) -> None:
    workloads = [Workload(f"w{i}", tuple(chain), b, n) for i, (chain, b, n) in enumerate(chains)]
    columns = {name: np.array([point[name] for point in drawn]) for name in drawn[0]}
    which = np.arange(len(drawn)) % len(workloads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_ELEMENTS", size)
        together = MODEL.evaluate(workloads, columns, metrics=OUTPUTS)
        pairs = [workloads[i] for i in which]
        zipped = MODEL.evaluate(pairs, columns, pairing="zip", metrics=OUTPUTS)
    backwards = MODEL.evaluate(
        workloads[::-1], {name: array[::-1] for name, array in columns.items()}, metrics=OUTPUTS
    )
    for i, workload in enumerate(workloads):
        alone = MODEL.evaluate([workload], drawn[i], metrics=OUTPUTS)
        for name in OUTPUTS:
            assert alone[name][0, 0] == together[name][i, i], name
    for name in OUTPUTS:
        np.testing.assert_array_equal(zipped[name], together[name][which, np.arange(len(drawn))])
        np.testing.assert_array_equal(backwards[name][::-1, ::-1], together[name])
