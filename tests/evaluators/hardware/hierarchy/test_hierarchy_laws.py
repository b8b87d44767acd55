"""What must hold on any accelerator for any layer."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.evaluators.hardware.hierarchy import PRESETS, HierarchyModel, preset
from archwright.evaluators.hardware.hierarchy.nest import Window, nest_of
from archwright.evaluators.hardware.hierarchy.temporal import _permutations, prime_factors
from archwright.workload import Layer, LayerKind, Workload

MODELS = {name: replace(preset(name), factors=4) for name in PRESETS}
channels = st.sampled_from([1, 3, 8, 12, 16, 24, 32, 48, 64])


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from([LayerKind.CONVOLUTION, LayerKind.DEPTHWISE, LayerKind.LINEAR]))
    inputs, outputs = draw(channels), draw(channels)
    if kind is LayerKind.LINEAR:
        rows = draw(st.integers(1, 50))
        return Layer("layer", kind, inputs, outputs, rows, 1, rows, 1)
    if kind is LayerKind.DEPTHWISE:
        outputs = inputs
    kernel, stride = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
    size = draw(st.integers(4, 30))
    image = (size - 1) * stride + kernel
    return Layer("layer", kind, inputs, outputs, image, image, size, size, kernel, stride)


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=6, deadline=None)
@given(layer=layers())
def test_energy_and_cycles_are_at_least_what_the_work_takes(name: str, layer: Layer) -> None:
    model = MODELS[name]
    result = model.layer(layer)
    assert result.macs == layer.macs
    assert result.mac_energy_pj == pytest.approx(layer.macs * model.accelerator.mac_cost)
    assert result.energy_pj > result.mac_energy_pj
    units = 1
    for _, size in model.accelerator.dimensions:
        units *= size
    assert result.ideal_cycles * units >= layer.macs
    assert min(result.stall_cycles, result.loading_cycles, result.storing_cycles) >= 0


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=6, deadline=None)
@given(layer=layers())
def test_the_outermost_memory_moves_every_element_at_least_once(name: str, layer: Layer) -> None:
    model = MODELS[name]
    result = model.layer(layer)
    dram = model.accelerator.memories[-1]
    word = dram.ports[0].bandwidth_max
    for operand, elements in (("W", layer.weight_elements), ("O", layer.output_elements)):
        assert result.accesses[dram.name, operand] * word >= elements * 8 * (1 - 1e-9)


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=4, deadline=None)
@given(layer=layers())
def test_each_objective_wins_at_what_it_is_for(name: str, layer: Layer) -> None:
    model = MODELS[name]
    energy, latency, edp = (
        replace(model, objective=objective).layer(layer)
        for objective in ("energy", "latency", "edp")
    )
    slack = 1 + 1e-9
    assert energy.energy_pj <= min(latency.energy_pj, edp.energy_pj) * slack
    assert latency.cycles <= min(energy.cycles, edp.cycles) * slack
    product = edp.energy_pj * edp.cycles
    for other in (energy, latency):
        assert product <= other.energy_pj * other.cycles * slack


def grown(model: HierarchyModel, memory: int, factor: int) -> HierarchyModel:
    memories = list(model.accelerator.memories)
    memories[memory] = replace(memories[memory], size=memories[memory].size * factor)
    return replace(model, accelerator=replace(model.accelerator, memories=tuple(memories)))


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=6, deadline=None)
@given(layer=layers(), place=st.integers(0, 10), factor=st.sampled_from([2, 3, 8]))
def test_a_larger_memory_at_the_same_cost_never_takes_more_energy(
    name: str, layer: Layer, place: int, factor: int
) -> None:
    model = MODELS[name]
    larger = grown(model, place % len(model.accelerator.memories), factor)
    assert larger.layer(layer).energy_pj <= model.layer(layer).energy_pj * (1 + 1e-9)


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=4, deadline=None)
@given(layer=layers())
def test_dearer_accesses_never_take_less_energy(name: str, layer: Layer) -> None:
    model = MODELS[name]
    dearer = tuple(
        replace(memory, read_cost=memory.read_cost * 2) for memory in model.accelerator.memories
    )
    costly = replace(model, accelerator=replace(model.accelerator, memories=dearer))
    assert costly.layer(layer).energy_pj >= model.layer(layer).energy_pj


def test_layers_do_not_depend_on_their_company() -> None:
    first = Layer("a", LayerKind.CONVOLUTION, 16, 32, 16, 16, 14, 14, 3)
    second = Layer("b", LayerKind.LINEAR, 64, 10, 1, 1, 1, 1)
    model = MODELS["tpu_like"]
    together = model.per_layer(Workload("both", (first, second)))
    alone = [model.per_layer(Workload("one", (layer,)))[0] for layer in (first, second)]
    assert together == alone


def test_matmuls_and_batches_have_the_macs_of_their_loops() -> None:
    product = Layer("qk", LayerKind.MATMUL, 64, 64, 16, 1, 16, 1, groups=4)
    for model in MODELS.values():
        assert model.layer(product).macs == product.macs == 16 * 16 * 16 * 4
        assert model.layer(product, batch=3).macs == 3 * product.macs
    image = Layer("conv", LayerKind.CONVOLUTION, 8, 8, 10, 10, 8, 8, 3)
    assert MODELS["eyeriss_like"].layer(image, batch=2).macs == 2 * image.macs


@given(
    outputs=st.integers(1, 30),
    taps=st.integers(1, 9),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 4),
)
def test_windows_count_the_pixels_that_they_touch(
    outputs: int, taps: int, stride: int, dilation: int
) -> None:
    touched = {o * stride + t * dilation for o in range(outputs) for t in range(taps)}
    window = Window("OX", "FX", stride, dilation, extent=10**6)
    counted = int(window.pixels(outputs, taps))  # type: ignore[arg-type]
    if stride % dilation == 0 or dilation % stride == 0 or dilation == 1:
        assert counted == len(touched)
    assert counted <= outputs * taps


def test_rectangular_kernels_keep_their_sides() -> None:
    layer = Layer("r", LayerKind.CONVOLUTION, 4, 8, 9, 7, 7, 7, kernel=3, kernel_width=1)
    sizes = nest_of(layer, 8, 1).sizes
    assert (sizes["FY"], sizes["FX"], sizes["OY"], sizes["OX"]) == (3, 1, 7, 7)


@given(st.dictionaries(st.sampled_from("ABCDE"), st.integers(2, 600), min_size=1))
def test_factors_multiply_to_their_loops(rounds: dict[str, int]) -> None:
    factors = prime_factors(rounds, 6)
    product = dict.fromkeys(rounds, 1)
    for loop, factor in factors:
        product[loop] *= factor
    assert product == rounds
    assert len(factors) <= 6


@given(st.text(alphabet="abc", min_size=1, max_size=6))
def test_every_order_comes_once(letters: str) -> None:
    things = sorted(letters)
    alike = tuple(a == b for a, b in zip(things[1:], things, strict=False))
    orders = ["".join(things[i] for i in row) for row in _permutations(alike)]
    assert len(orders) == len(set(orders))
    assert set(orders) == {"".join(order) for order in permutations(things)}
