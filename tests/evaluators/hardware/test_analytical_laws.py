"""What must hold for every layer and hardware: properties of the analytical model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.evaluators.hardware import TOTALS, AnalyticalModel, hardware_space
from archwright.workload import Layer, LayerKind, Workload

MODEL = AnalyticalModel()
BUFFERS = ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib")
ROUNDING = 1 - 1e-12

points = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 32),
        "columns": st.integers(1, 32),
        "dataflow": st.sampled_from(["os", "ws", "is"]),
        **{name: st.sampled_from([0.25, 0.5, 1, 3, 8, 40]) for name in BUFFERS},
        "dram_gb_per_s": st.sampled_from([0.1, 0.5, 3.0, 20.0]),
        "clock_mhz": st.sampled_from([150, 400, 800]),
        "bits": st.just(16),
    }
)
bits = st.sampled_from([8, 16])


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(list(LayerKind)))
    channels = draw(st.integers(1, 70))
    side = 1 if kind is LayerKind.LINEAR else draw(st.integers(1, 20))
    kernel = draw(st.sampled_from([1, 3, 5])) if kind is not LayerKind.LINEAR else 1
    mixes = kind in (LayerKind.CONVOLUTION, LayerKind.LINEAR)
    outputs = draw(st.integers(1, 70)) if mixes else channels
    return Layer("x", kind, channels, outputs, side, side, side, side, kernel, bias=True)


def _around(layer: Layer, bits: int) -> Workload:
    """The layer between two others, so that its activations may stay on the chip."""
    end = Layer("end", LayerKind.LINEAR, 3, 3, 1, 1, 1, 1)
    return Workload("w", (end, layer, end), bits)


def _grown(layer: Layer, data: st.DataObject) -> Layer:
    """The layer with one of its dimensions larger."""
    by = data.draw(st.integers(1, 30), label="by")
    if layer.kind is LayerKind.LINEAR:
        name = data.draw(st.sampled_from(["in_channels", "out_channels"]))
        return replace(layer, **{name: getattr(layer, name) + by})
    grow = data.draw(st.sampled_from(["height", "channels", "kernel", "in_height"]), label="grow")
    if grow == "in_height":
        return replace(layer, in_height=layer.in_height + by)
    if grow == "height":
        return replace(layer, in_height=layer.in_height + by, out_height=layer.out_height + by)
    if grow == "kernel":
        return replace(layer, kernel=layer.kernel + by)
    if layer.kind is LayerKind.CONVOLUTION:
        name = data.draw(st.sampled_from(["in_channels", "out_channels"]))
        return replace(layer, **{name: getattr(layer, name) + by})
    return replace(layer, in_channels=layer.in_channels + by, out_channels=layer.out_channels + by)


@settings(max_examples=200, deadline=None)
@given(layer=layers(), point=points, bits=bits, factor=st.floats(1, 100))
def test_more_bandwidth_never_slows_a_layer(
    layer: Layer, point: dict[str, object], bits: int, factor: float
) -> None:
    more = {**point, "dram_gb_per_s": point["dram_gb_per_s"] * factor}
    slow, fast = (MODEL.per_layer(_around(layer, bits), p)[1] for p in (point, more))
    assert fast.total_cycles <= slow.total_cycles


@settings(max_examples=200, deadline=None)
@given(
    layer=layers(),
    point=points,
    bits=bits,
    name=st.sampled_from(BUFFERS),
    factor=st.floats(1, 100),
)
def test_a_larger_buffer_never_adds_dram_traffic(
    layer: Layer, point: dict[str, object], bits: int, name: str, factor: float
) -> None:
    larger = {**point, name: point[name] * factor}
    before, after = (
        sum(MODEL.per_layer(_around(layer, bits), p)[1].dram_bytes.values())
        for p in (point, larger)
    )
    assert after <= before


@settings(max_examples=400, deadline=None)
@given(layer=layers(), point=points, bits=bits, data=st.data())
def test_growing_a_dimension_never_lowers_cycles_or_energy(
    layer: Layer, point: dict[str, object], bits: int, data: st.DataObject
) -> None:
    small, large = (
        MODEL.per_layer(_around(which, bits), point)[1] for which in (layer, _grown(layer, data))
    )
    assert large.cycles >= small.cycles
    assert large.total_cycles >= small.total_cycles
    assert sum(large.energy_uj.values()) >= ROUNDING * sum(small.energy_uj.values())


@settings(max_examples=60, deadline=None)
@given(
    chains=st.lists(
        st.tuples(st.lists(layers(), min_size=1, max_size=5), bits), min_size=1, max_size=5
    ),
    seed=st.integers(0, 1000),
)
def test_results_do_not_depend_on_the_company(
    chains: list[tuple[list[Layer], int]], seed: int
) -> None:
    workloads = [Workload(f"w{i}", tuple(chain), b) for i, (chain, b) in enumerate(chains)]
    space = hardware_space()
    indices = space.sample(np.random.default_rng(seed), 40)
    columns = space.columns(indices)
    together = MODEL.evaluate(workloads, columns)
    pairs = np.arange(40) % len(workloads)
    zipped = MODEL.evaluate([workloads[i] for i in pairs], columns, pairing="zip")
    for i, workload in enumerate(workloads):
        alone = MODEL.evaluate([workload], space.columns(indices[i : i + 1]))
        for name in TOTALS:
            assert alone[name][0, 0] == together[name][i, i]
    for name in TOTALS:
        np.testing.assert_array_equal(zipped[name], together[name][pairs, np.arange(40)])
