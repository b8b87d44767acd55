"""Roofline platforms: the laws, the numbers of a datasheet, calibration, bad files."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware.platforms import (
    PRESETS,
    ROOFLINE_TOTALS,
    MeasuredLatency,
    Platform,
    RooflineModel,
)
from archwright.workload import Layer, LayerKind, Workload

MATMULS = Path(__file__).resolve().parents[2] / "data" / "matmul_a100.csv"
ROUNDING = 1 - 1e-12

SMALL = """
name = "small"
source = "a test"
processors = 4
tiles = [[16, 16, 8], [4, 8, 4]]
vector_tops = 0.01
launch_overhead_us = 1.5
tdp_w = 2.0
matrix_tops = { int8 = 0.2, fp16 = 0.1 }
memory = [
    { name = "cache", capacity_mib = 0.01, gb_per_s = 40.0 },
    { name = "DRAM", capacity_mib = 64.0, gb_per_s = 2.0 },
]
"""


def small(tmp_path: Path, old: str = "", new: str = "") -> Path:
    """The platform file above with one text replaced."""
    assert old in SMALL
    path = tmp_path / "small.toml"
    path.write_text(SMALL.replace(old, new) if old else SMALL, encoding="utf-8")
    return path


def matmul(m: int, n: int, k: int, bits: int = 16) -> Workload:
    layer = Layer("product", LayerKind.LINEAR, k, n, m, 1, m, 1)
    return Workload(f"{m}x{n}x{k}", (layer,), bits)


def measured_matmuls() -> list[MeasuredLatency]:
    with MATMULS.open(encoding="utf-8", newline="") as file:
        return [
            MeasuredLatency(
                matmul(int(row["M"]), int(row["N"]), int(row["K"])), float(row["latency_ms"])
            )
            for row in csv.DictReader(file)
        ]


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """A layer of any kind."""
    kind = draw(st.sampled_from(list(LayerKind)))
    groups = draw(st.sampled_from([1, 2, 3]))
    inputs = groups * draw(st.integers(1, 40))
    outputs = groups * draw(st.integers(1, 40))
    side = draw(st.integers(1, 20))
    if kind is LayerKind.LINEAR:
        return Layer("x", kind, inputs, outputs, side, 1, side, 1, bias=True)
    if kind is LayerKind.MATMUL:
        return Layer("x", kind, inputs, outputs, side, 1, side, 1, groups=groups)
    kernel, stride = draw(st.sampled_from([1, 3, 5])), draw(st.sampled_from([1, 2]))
    out = -(-side // stride)
    if kind is LayerKind.CONVOLUTION:
        return Layer("x", kind, inputs, outputs, side, side, out, out, kernel, stride)
    return Layer("x", kind, inputs, inputs, side, side, out, out, kernel, stride, groups=1)


GROWTHS = ("in_height", "out_height", "in_width", "out_width", "kernel", "channels", "batch")


def grown(workload: Workload, dimension: str, by: int) -> Workload:
    """The workload with one dimension of its only layer, or its batch, larger."""
    layer = workload.layers[0]
    if dimension == "batch":
        return replace(workload, batch=workload.batch + by)
    if dimension == "channels":
        more = {name: getattr(layer, name) + by * layer.groups for name in CHANNELS}
        return replace(workload, layers=(replace(layer, **more),))
    larger = replace(layer, **{dimension: getattr(layer, dimension) + by})
    return replace(workload, layers=(larger,))


CHANNELS = ("in_channels", "out_channels")
workloads_of_one = st.builds(
    lambda layer, bits, batch: Workload("w", (layer,), bits, batch),
    layers(),
    st.sampled_from([8, 16]),
    st.integers(1, 3),
)
presets = st.sampled_from([Platform.load("a100"), Platform.load("jetson_orin")])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load_and_run_a_network(name: str, workloads: SimpleNamespace) -> None:
    platform = Platform.load(name)
    assert "launch_overhead_us" in platform.estimated
    costs = RooflineModel(platform).evaluate([workloads.digits(8)])
    assert set(costs) == set(ROOFLINE_TOTALS)
    assert 0 < costs["latency_ms"][0] < 100
    assert 0 < costs["utilisation"][0] <= 1


def test_faster_devices_are_faster_on_a_large_network(workloads: SimpleNamespace) -> None:
    order = ("h100", "a100", "jetson_orin", "phone_cpu")
    network = replace(workloads.mobilenet(8), batch=64)
    times = [RooflineModel(Platform.load(n)).evaluate([network])["latency_ms"][0] for n in order]
    assert times == sorted(times)


def test_totals_are_sums_of_layers_and_of_nothing_else(
    tmp_path: Path, workloads: SimpleNamespace
) -> None:
    model = RooflineModel(Platform.load(small(tmp_path)))
    networks = [workloads.digits(8), workloads.residual(16), workloads.perceptron(8)]
    totals = model.evaluate(networks)
    for i, network in enumerate(networks):
        costs = model.per_layer(network)
        assert [cost.name for cost in costs] == [layer.name for layer in network.layers]
        latency = sum(cost.latency_us for cost in costs) / 1000
        assert latency == pytest.approx(totals["latency_ms"][i])
        assert sum(c.bytes["DRAM"] for c in costs) == pytest.approx(totals["dram_bytes"][i])
        alone = model.evaluate([network])
        for name in ROOFLINE_TOTALS:
            assert alone[name][0] == pytest.approx(totals[name][i], rel=1e-12)
    assert totals["energy_uj"] == pytest.approx(totals["latency_ms"] * 2000)


def test_a_layer_by_hand(tmp_path: Path) -> None:
    """17 x 8 x 8 in int8. Tile 16 x 16 x 8: 2 tiles, one round of 4096 operations at
    0.05 TOPS; tile 4 x 8 x 4: 5 tiles, two rounds of 512."""
    cost = RooflineModel(Platform.load(small(tmp_path))).per_layer(matmul(17, 8, 8, 8))[0]
    assert cost.compute_us == pytest.approx(2 * 512 / 0.05e6)
    assert cost.quantisation == pytest.approx(2 * 512 * 4 / (2 * 17 * 8 * 8))
    assert cost.bytes["cache"] == 8 * (17 + 8 * 5) + 17 * 8
    assert cost.bytes["DRAM"] == 17 * 8 + 8 * 8 + 17 * 8
    assert cost.latency_us == pytest.approx(1.5 + 336 / 2e3)
    assert cost.bound == "launch"


def test_the_bound_names_what_takes_longest(tmp_path: Path) -> None:
    model = RooflineModel(Platform.load(small(tmp_path)))
    assert model.per_layer(matmul(4, 4, 4, 8))[0].bound == "launch"
    assert model.per_layer(matmul(1, 4096, 4096, 8))[0].bound == "DRAM"
    assert model.per_layer(matmul(1024, 1024, 1024, 8))[0].bound == "compute"
    cacheless = Platform.load(small(tmp_path, "gb_per_s = 40.0", "gb_per_s = 4.0"))
    assert RooflineModel(cacheless).per_layer(matmul(1024, 1024, 1024, 8))[0].bound == "cache"


def test_what_the_cache_cannot_keep_comes_from_dram_again(tmp_path: Path) -> None:
    model = RooflineModel(Platform.load(small(tmp_path)))
    cost = model.per_layer(matmul(1024, 1024, 1024, 8))[0]
    assert cost.bytes["DRAM"] == pytest.approx(2 * 1024**3 / np.sqrt(0.01 * 2**20))
    assert cost.bytes["DRAM"] > 3 * 1024**2


def test_a_batch_shares_weights_but_not_activations(tmp_path: Path) -> None:
    model = RooflineModel(Platform.load(small(tmp_path)))
    linear = matmul(1, 64, 64, 8)
    attention = Workload("a", (Layer("a", LayerKind.MATMUL, 64, 64, 8, 1, 8, 1),), 8)
    for workload, shared in ((linear, 64 * 64), (attention, 0)):
        one, four = (
            model.evaluate([replace(workload, batch=batch)])["dram_bytes"][0] for batch in (1, 4)
        )
        assert four - shared == 4 * (one - shared)


@settings(max_examples=100, deadline=None)
@given(workload=workloads_of_one, platform=presets, factor=st.floats(1, 100), data=st.data())
def test_a_faster_resource_never_slows_a_layer(
    workload: Workload, platform: Platform, factor: float, data: st.DataObject
) -> None:
    which = data.draw(st.sampled_from(["L2", "DRAM", "matrix", "vector", "launch"]))
    if which == "matrix":
        peaks = {name: peak * factor for name, peak in platform.matrix_tops.items()}
        better = platform.model_copy(update={"matrix_tops": peaks})
    elif which == "vector":
        better = platform.model_copy(update={"vector_tops": platform.vector_tops * factor})
    elif which == "launch":
        shorter = platform.launch_overhead_us / factor
        better = platform.model_copy(update={"launch_overhead_us": shorter})
    else:
        memory = tuple(
            level.model_copy(update={"gb_per_s": level.gb_per_s * factor})
            if level.name == which
            else level
            for level in platform.memory
        )
        better = platform.model_copy(update={"memory": memory})
    slow, fast = (
        RooflineModel(p).evaluate([workload])["latency_ms"][0] for p in (platform, better)
    )
    assert fast * ROUNDING <= slow


@settings(max_examples=300, deadline=None)
@given(
    workload=workloads_of_one,
    platform=presets,
    dimension=st.sampled_from(GROWTHS),
    by=st.integers(1, 200),
)
def test_growing_a_dimension_is_never_faster(
    workload: Workload, platform: Platform, dimension: str, by: int
) -> None:
    model = RooflineModel(platform)
    before, after = (
        model.evaluate([each])["latency_ms"][0]
        for each in (workload, grown(workload, dimension, by))
    )
    assert after >= before * ROUNDING


@settings(max_examples=100, deadline=None)
@given(workload=workloads_of_one, platform=presets)
def test_quantisation_is_never_below_the_ideal(workload: Workload, platform: Platform) -> None:
    cost = RooflineModel(platform).per_layer(workload)[0]
    assert cost.quantisation >= ROUNDING
    assert 0 <= cost.utilisation <= 1
    slowest = max(cost.compute_us, *cost.memory_us.values())
    assert cost.latency_us == pytest.approx(platform.launch_overhead_us + slowest)


def test_a_full_round_of_whole_tiles_costs_nothing_extra() -> None:
    platform = Platform.load("a100")
    whole = matmul(256 * 12, 128 * 9, 1024)  # 108 tiles of 256 x 128
    one_more = matmul(256 * 12 + 1, 128 * 9, 1024)
    model = RooflineModel(platform)
    assert model.per_layer(whole)[0].quantisation == pytest.approx(1)
    assert model.per_layer(one_more)[0].quantisation > 1.05


def test_five_matmuls_on_an_a100_predict_the_other_fifteen() -> None:
    platform, rows = Platform.load("a100"), measured_matmuls()
    chosen = rows[::4]
    others = [row for row in rows if row not in chosen]
    measured = np.array([row.latency_ms for row in others])

    def error(which: Platform) -> float:
        predicted = RooflineModel(which).evaluate([row.workload for row in others])["latency_ms"]
        return float(np.abs(predicted / measured - 1).mean())

    calibrated = platform.calibrated(chosen)
    assert len(others) == 15
    assert error(calibrated) <= 0.08
    assert error(platform) > 2 * error(calibrated)


@settings(max_examples=5, deadline=None)
@given(efficiency=st.floats(0.3, 0.95), bandwidth=st.floats(0.8, 1), overhead=st.floats(2, 40))
def test_calibration_finds_the_device_behind_the_rows(
    efficiency: float, bandwidth: float, overhead: float
) -> None:
    platform = Platform.load("a100")
    truth = {
        "efficiency": efficiency,
        "achieved_bandwidth": bandwidth,
        "launch_overhead_us": overhead,
    }
    copying = Layer("x", LayerKind.ELEMENTWISE, 64, 64, 4096, 4096, 4096, 4096, operands=1)
    shapes = [(8192, 64, 64), (8192, 8192, 8192), (4096, 4096, 4096), (256, 256, 256)]
    workloads = [*(matmul(*shape) for shape in shapes), Workload("copy", (copying,), 16)]
    device = RooflineModel(platform.model_copy(update=truth))
    times = device.evaluate(workloads)["latency_ms"]
    rows = [MeasuredLatency(w, float(t)) for w, t in zip(workloads, times, strict=True)]
    found = platform.calibrated(rows)
    for name, value in truth.items():
        assert getattr(found, name) == pytest.approx(value, rel=0.05)


def test_what_the_rows_do_not_tell_stays() -> None:
    platform = Platform.load("a100")
    slow = platform.model_copy(update={"launch_overhead_us": 30.0})
    workloads = [matmul(m, 8, 8) for m in (8, 16, 32)]  # launches and nothing else
    times = RooflineModel(slow).evaluate(workloads)["latency_ms"]
    rows = [MeasuredLatency(w, float(t)) for w, t in zip(workloads, times, strict=True)]
    found = platform.calibrated(rows)
    assert found.launch_overhead_us == pytest.approx(30, rel=0.02)
    assert found.efficiency == pytest.approx(1, abs=0.02)
    assert found.achieved_bandwidth == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "small"', 'nmae = "small"', "nmae"),
        ("vector_tops = 0.01", "vector_tops = -0.01", "vector_tops = -0.01"),
        ("gb_per_s = 2.0", "gb_per_s = 0.0", "memory.1.gb_per_s = 0.0"),
        ("processors = 4", "processors = 0", "processors = 0"),
        ("int8 = 0.2", "int9 = 0.2", "matrix_tops.int9: unknown key"),
        ("[[16, 16, 8], [4, 8, 4]]", "[]", "tiles"),
        ("[4, 8, 4]", "[4, 8]", "tiles.1.2 = (4, 8): missing"),
        ("capacity_mib = 64.0", "capacity_mib = 0.001", "capacity_mib = 0.001: must be at least"),
        ('source = "a test"', 'source = "x"\nestimated = ["speed"]', "'speed' is neither"),
        ('name = "DRAM"', 'name = "cache"', "each name may stand once"),
        ("processors = 4", "processors = [", "not TOML"),
    ],
)
def test_a_wrong_platform_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Platform.load(small(tmp_path, old, new))
    assert message in str(caught.value)
    assert "small.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(
        UserError, match=r"platform = 'b200': allowed a100, h100, .* or a TOML file"
    ):
        Platform.load("b200")


def test_a_precision_without_a_peak_is_refused(tmp_path: Path) -> None:
    platform = Platform.load(small(tmp_path))
    with pytest.raises(UserError, match="bits = 4: small has no peak for them; it has int8, fp16"):
        RooflineModel(platform).evaluate([matmul(2, 2, 2, bits=4)])
    with pytest.raises(UserError, match="precision = 'fp8': small has no peak"):
        RooflineModel(platform, "fp8")
    narrow, wide = (
        RooflineModel(platform, p).evaluate([matmul(64, 64, 64, 8)])["dram_bytes"][0]
        for p in (None, "fp16")
    )
    assert wide == 2 * narrow


def test_what_does_not_fit_the_memory_is_named(tmp_path: Path) -> None:
    model = RooflineModel(Platform.load(small(tmp_path)))
    large = matmul(1, 9000, 9000, 8)
    assert model.evaluate([large])["latency_ms"][0] == np.inf
    with pytest.raises(MeasurementFailed, match=r"memory.DRAM.capacity_mib = 64: .* 77.3 MiB"):
        model.per_layer(large)


def test_calibration_needs_a_row_for_each_parameter() -> None:
    rows = measured_matmuls()[:2]
    with pytest.raises(UserError, match="calibration: 2 measured rows; at least 3"):
        Platform.load("a100").calibrated(rows)
    with pytest.raises(UserError, match="latency_ms = 0"):
        MeasuredLatency(rows[0].workload, 0.0)
