"""The analytical model: agreement with itself, known cases, bad input, bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware import (
    TOTALS,
    AnalyticalModel,
    costs,
    gemm_cycles,
    hardware_space,
)

POINT = {
    "rows": 8,
    "columns": 16,
    "dataflow": "ws",
    "input_buffer_kib": 8,
    "weight_buffer_kib": 8,
    "output_buffer_kib": 8,
    "dram_gb_per_s": 1.0,
    "clock_mhz": 400,
    "bits": 8,
}
MODEL = AnalyticalModel()


def test_layers_add_up_to_totals(workloads) -> None:
    space = hardware_space()
    points = space.decode(space.sample(np.random.default_rng(1), 40))
    for workload in workloads.varied:
        for point in points:
            if MODEL.infeasible(workload, point):
                continue
            totals = {name: v.item() for name, v in MODEL.evaluate([workload], point).items()}
            layers = MODEL.per_layer(workload, point)
            assert sum(layer.cycles for layer in layers) == totals["cycles"]
            assert sum(layer.stall_cycles for layer in layers) == totals["stall_cycles"]
            assert sum(sum(la.dram_bytes.values()) for la in layers) == totals["dram_bytes"]
            total_cycles = sum(layer.total_cycles for layer in layers)
            assert totals["latency_ms"] == total_cycles / (point["clock_mhz"] * 1e3)
            energy = sum(sum(layer.energy_uj.values()) for layer in layers)
            assert totals["energy_uj"] == pytest.approx(energy, rel=1e-12)
            assert totals["power_mw"] == totals["energy_uj"] / totals["latency_ms"]
            assert totals["area_mm2"] == pytest.approx(sum(MODEL.area_breakdown(point).values()))
            assert totals["macs"] == workload.macs
            assert totals["parameters"] == workload.parameters
            assert totals["memory_kib"] == workload.memory_kib


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_cycles_are_those_of_the_products(workloads, dataflow: str) -> None:
    workload = workloads.wide_digits()
    costs_of_layers = MODEL.per_layer(workload, {**POINT, "dataflow": dataflow})
    for layer, cost in zip(workload.layers, costs_of_layers, strict=True):
        if layer.on_array:
            m, n, k, repeats = layer.gemm
            assert cost.cycles == repeats * gemm_cycles(m, n, k, 8, 16, dataflow)
            assert 0 < cost.utilisation <= 1
        else:
            assert cost.utilisation == 0
            assert cost.bound in ("vector unit", "dram")


def test_a_product_worked_by_hand(workloads) -> None:
    """One linear layer, 32 inputs, 16 outputs, weight stationary on 8 x 16."""
    workload = workloads.workload("linear", [workloads.linear("fc", 32, 16)])
    (cost,) = MODEL.per_layer(workload, POINT)
    assert cost.cycles == 4 * (1 + 2 * 8 + 16 - 2) - 1
    assert cost.dram_bytes == {"inputs": 32, "weights": 32 * 16 + 16, "outputs": 16}
    # 4 folds of k: 4 writes and 3 reads of 32-bit sums, then the drained bytes.
    assert cost.buffer_bytes == {"inputs": 32, "weights": 512, "outputs": 16 * 4 * 7 + 16}
    # 400 MHz at 1 GB/s: 0.4 cycles a byte. The DRAM needs ceil(576 x 0.4) = 231 cycles.
    assert cost.total_cycles == max(231, cost.cycles + np.ceil(8 * 17 * 0.4))
    assert cost.bound == "dram"
    assert cost.energy_uj["dram"] == pytest.approx(576 * 160e-6)
    scale = (costs.voltage(np.array([400.0]))[0] / 0.9) ** 2
    assert cost.energy_uj["mac"] == pytest.approx(512 * 0.3e-6 * scale)
    assert cost.latency_us == cost.total_cycles / 400


def test_activations_that_fit_stay_on_the_chip(workloads) -> None:
    first, _, last = MODEL.per_layer(
        workloads.workload("chain", [workloads.linear(name, 64, 64) for name in "abc"]), POINT
    )
    assert (first.dram_bytes["inputs"], first.dram_bytes["outputs"]) == (64, 0)
    assert (last.dram_bytes["inputs"], last.dram_bytes["outputs"]) == (0, 64)


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_what_does_not_fit_is_fetched_again(workloads, dataflow: str) -> None:
    workload = workloads.residual()
    small = {**POINT, "dataflow": dataflow}
    for buffer in ("input", "weight", "output"):
        small[f"{buffer}_buffer_kib"] = 1
    large = {**small, **{f"{b}_buffer_kib": 2048 for b in ("input", "weight", "output")}}
    least = workload.parameters + workload.layers[0].input_elements + 10
    assert MODEL.evaluate([workload], large)["dram_bytes"].item() == least
    assert MODEL.evaluate([workload], small)["dram_bytes"].item() > 3 * least


def test_bounds_name_the_resource(workloads) -> None:
    def bound(layer, **change: object) -> str:
        fast = {**POINT, "dram_gb_per_s": 1000.0, "dataflow": "os", **change}
        return MODEL.per_layer(workloads.workload("one", [layer]), fast)[0].bound

    assert bound(workloads.convolution("c", 64, 64, 16, 3)) == "compute"
    assert bound(workloads.convolution("c", 4, 64, 16, 1)) == "fill/drain"
    assert bound(workloads.pooling("p", 64, 16)) == "vector unit"
    assert bound(workloads.linear("l", 512, 512), dram_gb_per_s=0.25) == "dram"


def test_voltage_rises_with_the_clock() -> None:
    voltages = costs.voltage(np.array([200.0, 400.0, 600.0, 800.0]))
    assert np.all(np.diff(voltages) > 0)
    assert voltages[2] == pytest.approx(costs.NOMINAL_VOLTAGE)


def test_narrow_hardware_does_not_run_a_wide_network(workloads) -> None:
    wide = workloads.digits(16)
    assert "bits = 8" in (MODEL.infeasible(wide, POINT) or "")
    with pytest.raises(MeasurementFailed, match="bits = 8"):
        MODEL.per_layer(wide, POINT)
    both = {name: np.array([value, value]) for name, value in POINT.items()}
    both["bits"] = np.array([8, 16])
    result = MODEL.evaluate([wide, workloads.digits(8)], both)
    for name in TOTALS:
        values = result[name]
        assert values[0, 0] == (0 if name == "utilisation" else np.inf)
        assert np.isfinite([values[0, 1], *values[1]]).all()


def test_a_buffer_below_one_vector_names_its_key(workloads) -> None:
    for name in ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib"):
        point = {**POINT, "columns": 64, name: 0.1}
        assert (MODEL.infeasible(workloads.digits(), point) or "").startswith(f"{name} = 0.1")
        assert MODEL.evaluate([workloads.digits()], point)["latency_ms"].item() == np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "rows = 0"),
        ({"columns": 2.5}, "columns = 2.5"),
        ({"clock_mhz": -1}, "clock_mhz = -1"),
        ({"clock_mhz": 50_000}, "clock_mhz = 50000: must be at most"),
        ({"dram_gb_per_s": float("nan")}, "dram_gb_per_s = nan"),
        ({"bits": 4}, "bits = 4: allowed 8, 16"),
        ({"dataflow": "rs"}, "dataflow = 'rs'"),
        ({"rows": "8"}, "rows = 8: a number"),
        ({"cache": 3}, "cache: not a choice"),
        ({"rows": [8, 8]}, "one length"),
    ],
)
def test_wrong_hardware_is_one_line(workloads, change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        MODEL.evaluate([workloads.digits()], {**POINT, **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_calls_are_one_line(workloads) -> None:
    with pytest.raises(UserError, match="clock_mhz: missing"):
        MODEL.evaluate([workloads.digits()], {k: v for k, v in POINT.items() if k != "clock_mhz"})
    with pytest.raises(UserError, match="2 workloads and 1 hardware points"):
        MODEL.evaluate([workloads.digits()] * 2, POINT, pairing="zip")
    with pytest.raises(UserError, match="metrics: 'accuracy'"):
        MODEL.evaluate([workloads.digits()], POINT, metrics=("accuracy",))


def test_nothing_gives_nothing() -> None:
    space = hardware_space()
    none = space.columns(space.enumerate()[:0])
    assert MODEL.evaluate([], none, pairing="zip")["latency_ms"].shape == (0,)
    assert MODEL.evaluate([], POINT)["latency_ms"].shape == (0, 1)


def test_memory_is_bounded_by_blocks(workloads) -> None:
    space = hardware_space()
    columns = space.columns(space.enumerate())
    # Distinct layers in every network, so that none is shared.
    many = [
        workloads.workload(f"n{i}", workloads.mbconv("a", 8, 8 + i, 16 + i, 4) * 10)
        for i in range(20)
    ]
    tracemalloc.start()
    result = MODEL.evaluate(many, columns, metrics=("latency_ms",))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result["latency_ms"].shape == (20, space.size)
    assert peak - result["latency_ms"].nbytes < 100e6


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_the_cheaper_loop_order_is_taken(workloads, dataflow: str) -> None:
    """256 pixels, 64 filters, a window of 64; neither operand fits half its buffer.

    With filters (or tiles of weights) outside, weights pass once and inputs four times;
    the other orders read at least 80 kB.
    """
    workload = workloads.workload("one", [workloads.convolution("c", 64, 64, 16)])
    point = {**POINT, "dataflow": dataflow, "input_buffer_kib": 1, "weight_buffer_kib": 2}
    (cost,) = MODEL.per_layer(workload, point)
    assert cost.dram_bytes["inputs"] == 4 * 256 * 64
    assert cost.dram_bytes["weights"] == 64 * 64 + 64
