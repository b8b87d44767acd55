"""The analytical model: agreement with itself, known cases, bad input, bounded memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware import (
    OUTPUTS,
    TOTALS,
    AnalyticalModel,
    costs,
    gemm_cycles,
    hardware_space,
)
from archwright.evaluators.hardware.totals import BOUNDS
from archwright.workload import Layer, LayerKind, Workload

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
    points = space.decode(space.sample(np.random.default_rng(1), 12))
    for workload in workloads.varied:
        for point in points:
            if MODEL.infeasible(workload, point):
                continue
            outputs = MODEL.evaluate([workload], point, metrics=OUTPUTS)
            totals = {name: value.item() for name, value in outputs.items()}
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
            for family in ("dram_bytes", "buffer_bytes", "register_bytes", "energy_uj"):
                for part in getattr(layers[0], family):
                    added = sum(getattr(layer, family)[part] for layer in layers)
                    assert totals[f"{family}.{part}"] == pytest.approx(added, rel=1e-12)
            for buffer in layers[0].peak_bytes:
                most = max(layer.peak_bytes[buffer] for layer in layers)
                assert totals[f"peak_bytes.{buffer}"] == most
            for bound in BOUNDS:
                bounded = sum(la.total_cycles for la in layers if la.bound == bound)
                assert totals[f"bound_cycles.{bound}"] == bounded
            for part, area in MODEL.area_breakdown(point).items():
                assert totals[f"area_mm2.{part}"] == area
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
    assert cost.peak_bytes == {
        "input_buffer": 2 * 32,
        "weight_buffer": 2 * 512,
        "output_buffer": 2 * 16 * 4,
    }
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
        ({"bits": 12}, "bits = 12: allowed 4, 8, 16 (those with an energy entry)"),
        ({"node_nm": 40}, "node_nm = 40: allowed 7, 10, "),
        ({"register_file_bytes": -1}, "register_file_bytes = -1: must be a number from 0"),
        (
            {"clock_mh": 400},
            "clock_mh: not a choice of the systolic space; did you mean clock_mhz?",
        ),
        ({"dataflow": "xs"}, "dataflow = 'xs'"),
        ({"rows": "8"}, "rows = '8': a number"),
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


def test_a_batch_shares_the_weights_where_they_are_on_the_chip(workloads) -> None:
    layer = workloads.convolution("c", 16, 32, 8, 3)
    one, four = (
        MODEL.per_layer(Workload("w", (layer,), batch=batch), {**POINT, "weight_buffer_kib": 64})[0]
        for batch in (1, 4)
    )
    assert four.dram_bytes["weights"] == one.dram_bytes["weights"] == layer.parameters
    assert four.dram_bytes["inputs"] == 4 * one.dram_bytes["inputs"]
    assert four.cycles == gemm_cycles(4 * 64, 32, 16 * 9, 8, 16, "ws")
    batch = MODEL.evaluate([Workload("w", (layer,), batch=4)], POINT)
    assert batch["macs"].item() == 4 * layer.macs
    assert batch["memory_kib"].item() == Workload("w", (layer,), batch=4).memory_kib


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_a_grouped_convolution_is_a_product_for_each_group(workloads, dataflow: str) -> None:
    layer = Layer("g", LayerKind.CONVOLUTION, 24, 48, 8, 8, 8, 8, kernel=3, groups=4)
    single = Layer("s", LayerKind.CONVOLUTION, 6, 12, 8, 8, 8, 8, kernel=3)
    point = {**POINT, "dataflow": dataflow}
    (grouped,) = MODEL.per_layer(Workload("w", (layer,)), point)
    (one,) = MODEL.per_layer(Workload("w", (single,)), point)
    assert grouped.cycles == 4 * one.cycles
    for family in ("dram_bytes", "buffer_bytes"):
        for name, value in getattr(one, family).items():
            assert getattr(grouped, family)[name] == 4 * value
    assert grouped.peak_bytes == one.peak_bytes


def test_a_matmul_fetches_its_second_operand_for_every_input() -> None:
    """Two heads of (6 x 10) x (10 x 7); the second operand fills the weight buffer."""
    layer = Layer("qk", LayerKind.MATMUL, 20, 14, 6, 1, 6, 1, groups=2)
    for batch in (1, 3):
        workload = Workload("w", (layer,), batch=batch)
        (cost,) = MODEL.per_layer(workload, POINT)
        assert cost.cycles == batch * 2 * gemm_cycles(6, 7, 10, 8, 16, "ws")
        assert cost.dram_bytes == {
            "inputs": batch * 2 * 60,
            "weights": batch * 2 * 70,
            "outputs": batch * 2 * 42,
        }
        totals = MODEL.evaluate([workload], POINT)
        assert totals["parameters"].item() == workload.parameters == 0
        assert totals["memory_kib"].item() == workload.memory_kib


def test_the_vector_unit_passes_over_its_operands(workloads) -> None:
    def bytes_of(kind: LayerKind, operands: int = 1) -> tuple[int, float, float]:
        layer = Layer("v", kind, 32, 32, 4, 4, 4, 4, operands=operands)
        (cost,) = MODEL.per_layer(Workload("w", (layer,)), POINT)
        return cost.cycles, cost.dram_bytes["inputs"], cost.buffer_bytes["inputs"]

    elements, lanes = 512, 16
    assert bytes_of(LayerKind.ELEMENTWISE) == (elements // lanes, elements, elements)
    assert bytes_of(LayerKind.ELEMENTWISE, 3) == (2 * elements // lanes, 3 * elements, 3 * elements)
    assert bytes_of(LayerKind.NORMALISATION) == (3 * elements // lanes, elements, 3 * elements)


def test_an_input_from_elsewhere_has_not_stayed_on_the_chip(workloads) -> None:
    """The second layer reads more than the first puts out: a branch or a concatenation."""
    layers = [workloads.linear("a", 64, 32), workloads.linear("b", 64, 64)]
    first, second = MODEL.per_layer(workloads.workload("branch", layers), POINT)
    assert first.dram_bytes["outputs"] == 32
    assert second.dram_bytes["inputs"] == 64


def test_what_stayed_on_the_chip_is_not_waited_for(workloads) -> None:
    layers = [workloads.linear(name, 64, 64) for name in "abc"]
    slow = {**POINT, "dram_gb_per_s": 0.25, "dataflow": "is", "clock_mhz": 800}
    first, second, _ = MODEL.per_layer(workloads.workload("chain", layers), slow)
    assert second.dram_bytes["inputs"] == 0
    assert second.stall_cycles < first.stall_cycles


def test_four_bits_cost_less_than_eight(workloads) -> None:
    layers = workloads.digits().layers
    four, eight = (
        {
            name: value.item()
            for name, value in MODEL.evaluate(
                [Workload("w", layers, bits)], {**POINT, "bits": bits}, metrics=OUTPUTS
            ).items()
        }
        for bits in (4, 8)
    )
    assert four["energy_uj.mac"] < eight["energy_uj.mac"]
    assert four["area_mm2.array"] < eight["area_mm2.array"]
    assert four["dram_bytes"] == eight["dram_bytes"] / 2


def test_other_nodes_scale_the_core_and_not_the_interface() -> None:
    def areas(**change: object) -> dict[str, float]:
        return MODEL.area_breakdown({**POINT, **change})

    here, larger, smaller = areas(), areas(node_nm=65), areas(node_nm=7)
    assert areas(node_nm=45) == here
    for name, area in here.items():
        if name == "interface":
            assert larger[name] == smaller[name] == area
        else:
            assert larger[name] == pytest.approx(1.5 * area)
            assert smaller[name] == pytest.approx(0.059 * area)


def test_energy_at_another_node(workloads) -> None:
    metrics = [name for name in OUTPUTS if name.startswith("energy_uj.")]
    here, there = (
        MODEL.evaluate([workloads.digits()], {**POINT, "node_nm": node}, metrics=metrics)
        for node in (45, 65)
    )
    for part in ("mac", "registers", "vector_unit", "input_buffer"):
        name = f"energy_uj.{part}"
        assert there[name].item() == pytest.approx(1.253 * here[name].item())
    assert there["energy_uj.dram"] == here["energy_uj.dram"]


def test_a_register_file_costs_area() -> None:
    """Flip-flops where it is small, SRAM where that is smaller."""
    none, small, large = (
        MODEL.area_breakdown({**POINT, "register_file_bytes": size})["array"]
        for size in (0, 16, 520)
    )
    elements = POINT["rows"] * POINT["columns"]
    assert small - none == pytest.approx(elements * 16 * 8 * costs.REGISTER_BIT_UM2 / 1e6)
    assert large - none == pytest.approx(
        elements * (costs.SRAM_MACRO_UM2 + 520 * 8 * costs.SRAM_UM2_PER_BIT) / 1e6
    )


def test_sizes_that_cannot_be_counted_exactly_are_refused() -> None:
    with pytest.raises(UserError, match="layer x: in_channels = 2147483648: must be at most"):
        Layer("x", LayerKind.LINEAR, 2**31, 1, 1, 1, 1, 1)


def test_weights_of_fewer_bits_move_fewer_bytes_and_nothing_else(
    workloads,
) -> None:
    whole = workloads.mobilenet(8)
    narrow = replace(whole, weight_bits=4)
    for flow in ("os", "ws", "is", "rs"):
        point = {**POINT, "dataflow": flow, "bits": 8}
        for key in ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib"):
            point[key] = 64
        costs = [AnalyticalModel().evaluate([w], point, metrics=OUTPUTS) for w in (whole, narrow)]
        before, after = ({name: value.item() for name, value in c.items()} for c in costs)
        assert after["dram_bytes.weights"] < before["dram_bytes.weights"]
        assert after["memory_kib"] < before["memory_kib"]
        assert after["energy_uj"] < before["energy_uj"]
        assert after["latency_ms"] <= before["latency_ms"]
        for name in ("macs", "parameters", "area_mm2", "dram_bytes.outputs", "energy_uj.mac"):
            assert after[name] == before[name], name
    assert narrow.memory_kib == pytest.approx(after["memory_kib"])
    with pytest.raises(UserError, match="weight_bits = 16: allowed 1 to 8"):
        replace(whole, weight_bits=16)
