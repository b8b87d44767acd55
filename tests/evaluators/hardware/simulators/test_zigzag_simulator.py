"""ZigZag: what it is given, what it finds beside ZigZag's own entry point, and its failures."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from math import ceil, prod
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import ArchwrightError, MeasurementFailed
from archwright.evaluators.hardware import costs
from archwright.evaluators.hardware.columns import ALL_DATAFLOWS
from archwright.evaluators.hardware.simulators import ZigZag, zigzag
from archwright.evaluators.hardware.simulators.child import run_child
from archwright.evaluators.hardware.simulators.zigzag_inputs import (
    accelerator,
    mapping,
    unrolling,
)
from archwright.evaluators.hardware.zigzag_export import zigzag_workload
from archwright.space import Value
from archwright.workload import Workload

Hardware = dict[str, Value]
QUICK = ZigZag(loop_factors=2)

needed = pytest.mark.skipif(
    QUICK.missing() is not None, reason="zigzag-dse is not installed (extra [simulators])"
)

row_stationary = pytest.mark.skipif(
    "rs" not in ALL_DATAFLOWS, reason="the analytical model has no row-stationary arrays"
)


def only(workload: Workload, *names: str) -> Workload:
    layers = [layer for layer in workload.layers if layer.name in names]
    return replace(workload, layers=tuple(layers))


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.integers(1, 20))
def test_unrolling_has_the_fewest_folds(sizes: list[int], lanes: int) -> None:
    loops = dict(zip("abc", sizes, strict=False))
    factors = unrolling(loops, lanes)
    assert list(factors) == list(loops)
    assert prod(factors.values()) <= lanes
    assert all(1 <= factors[name] <= loops[name] for name in loops)
    fewest = min(
        prod(ceil(size / factor) for size, factor in zip(sizes, choice, strict=True))
        for choice in product(*(range(1, size + 1) for size in sizes))
        if prod(choice) <= lanes
    )
    assert prod(ceil(loops[name] / factors[name]) for name in loops) == fewest


@pytest.mark.parametrize(
    ("dataflow", "rows", "columns"),
    [
        ("os", ["OX, 2", "OY, 3", "B, 1"], ["K, 4"]),
        ("ws", ["C, 7", "FX, 1", "FY, 1"], ["K, 4"]),
        ("is", ["C, 7", "FX, 1", "FY, 1"], ["OX, 2", "OY, 1", "B, 2"]),
        ("rs", ["FY, 1", "C, 7", "G, 1"], ["OY, 3", "K, 1"]),
    ],
)
def test_the_dataflow_is_what_is_unrolled(
    hardware: Hardware, dataflow: str, rows: list[str], columns: list[str]
) -> None:
    loops = {"B": 2, "G": 5, "K": 9, "OY": 3, "OX": 2, "C": 7, "FY": 6, "FX": 1}
    (found,) = mapping(loops, {**hardware, "dataflow": dataflow})
    assert found["spatial_mapping"] == {"D1": rows, "D2": columns}


def test_the_accelerator_has_our_energies(hardware: Hardware) -> None:
    found = accelerator({**hardware, "clock_mhz": costs.CLOCK_MHZ_AT_NOMINAL})
    assert found["operational_array"]["unit_energy"] == pytest.approx(costs.MAC_PJ[8])
    assert found["operational_array"]["sizes"] == [8, 4]
    memories = found["memories"]
    byte = costs.BUFFER_PJ_PER_BYTE_AT_8_KIB
    assert memories["input_buffer"]["size"] == 8 * 8192
    for name, bits in (("input_buffer", 8 * 8), ("output_buffer", 8 * 32)):
        (read, *_) = memories[name]["ports"]
        assert read["bandwidth_max"] == bits
        assert memories[name]["r_cost"] == pytest.approx(byte * bits / 8)
    dram = memories["dram"]
    (port,) = dram["ports"]
    assert dram["r_cost"] / port["bandwidth_max"] * 8 == pytest.approx(costs.DRAM_PJ_PER_BYTE)
    assert port["bandwidth_max"] == round(8e9 / (costs.CLOCK_MHZ_AT_NOMINAL * 1e6))
    faster = accelerator({**hardware, "clock_mhz": 800})
    assert faster["operational_array"]["unit_energy"] > found["operational_array"]["unit_energy"]
    assert faster["memories"]["dram"]["r_cost"] < dram["r_cost"]  # fewer bits in a cycle


@row_stationary
def test_a_row_stationary_element_has_a_register_file(hardware: Hardware) -> None:
    eyeriss = {**hardware, "dataflow": "rs", "bits": 16, "register_file_bytes": 520}
    memories = accelerator(eyeriss)["memories"]
    words = {name: memories[name]["size"] // 16 for name in list(memories)[:3]}
    assert words == {"input_file": 12, "weight_file": 224, "sum_file": 24}


def test_no_number_has_an_exponent_that_yaml_would_read_as_text(hardware: Hardware) -> None:
    for small in ({}, {"clock_mhz": 1, "dram_gb_per_s": 100.0}, {"bits": 16, "rows": 64}):
        text = json.dumps(accelerator({**hardware, **small}))
        assert "e-" not in text
        assert "e+" not in text


@needed
def test_a_layer_used_once_costs_its_traffic(varied: Workload, hardware: Hardware) -> None:
    head = replace(only(varied, "head"), batch=1)
    result = QUICK.simulate(head, hardware)
    (layer,) = result.layers
    assert layer.macs == result.totals["macs"] == 540
    assert layer.dram_bytes == pytest.approx(54 + 540 + 10, rel=0.02)
    assert layer.energy_uj is not None
    dram = 604 * costs.DRAM_PJ_PER_BYTE / 1e6
    assert dram < layer.energy_uj < 1.2 * dram
    assert result.totals["energy_uj"] == layer.energy_uj
    assert result.totals["latency_ms"] * 1e3 == pytest.approx(layer.latency_us)


@needed
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataflow", "names"),
    [
        ("ws", ("stem", "depthwise", "grouped", "query", "attention", "pool")),
        ("os", ("depthwise", "add")),
        ("is", ("grouped", "norm")),
        pytest.param("rs", ("stem", "depthwise", "query"), marks=row_stationary),
    ],
)
def test_every_kind_of_layer_goes_through(
    varied: Workload, hardware: Hardware, dataflow: str, names: tuple[str, ...], temporary: Path
) -> None:
    here = set(Path.cwd().iterdir())
    workload = only(varied, *names)
    result = QUICK.simulate(workload, {**hardware, "dataflow": dataflow})
    for layer, found in zip(workload.layers, result.layers, strict=True):
        assert found.macs == 2 * layer.macs
        if layer.on_array:
            assert found.energy_uj is not None
            assert found.cycles is not None
            assert found.utilisation is not None
            assert found.energy_uj >= found.macs * costs.MAC_PJ[8] * 0.5 / 1e6
            assert found.cycles * 8 * 4 >= found.macs
            assert 0 < found.utilisation <= 1
    assert {"energy_uj", "latency_ms", "cycles", "dram_bytes"} <= set(result.totals)
    assert list(temporary.iterdir()) == []
    assert set(Path.cwd().iterdir()) == here


ENTRY_POINT = """
import json, logging
from zigzag.api import get_hardware_performance_zigzag
logging.disable(logging.CRITICAL)
energy, latency, _ = get_hardware_performance_zigzag(
    json.load(open("workload.json")), "accelerator.yaml", "mapping.yaml", opt="energy",
    lpf_limit=3, dump_folder="out", loma_show_progress_bar=False)
json.dump({"energy": energy, "latency": latency}, open("result.json", "w"))
"""


@needed
@pytest.mark.slow
def test_it_is_what_zigzags_own_entry_point_finds(
    varied: Workload, hardware: Hardware, tmp_path: Path
) -> None:
    workload = only(varied, "query")
    (described,) = zigzag_workload(workload)
    loops = dict(zip(described["loop_dims"], described["loop_sizes"], strict=True))
    script = tmp_path / "entry.py"
    script.write_text(ENTRY_POINT, encoding="utf-8")
    files = {
        "workload.json": json.dumps([described]),
        "accelerator.yaml": json.dumps(accelerator(hardware)),
        "mapping.yaml": json.dumps(mapping(loops, hardware)),
    }
    theirs = run_child(script, {}, 300, files)
    (ours,) = ZigZag(loop_factors=3).simulate(workload, hardware).layers
    assert ours.energy_uj == pytest.approx(theirs["energy"] / 1e6, rel=1e-12)
    assert (ours.cycles or 0) + (ours.stall_cycles or 0) == theirs["latency"]


@needed
@pytest.mark.slow
def test_the_search_is_the_same_each_time_and_follows_its_objective(
    varied: Workload, hardware: Hardware
) -> None:
    workload = only(varied, "grouped")

    def layer(simulator: ZigZag):
        (found,) = simulator.simulate(workload, hardware).layers
        return found

    energy = layer(ZigZag(loop_factors=4))
    assert layer(ZigZag(loop_factors=4)) == energy
    latency = layer(ZigZag("latency", loop_factors=4))
    assert energy.energy_uj <= latency.energy_uj
    assert latency.latency_us <= energy.latency_us
    assert energy.energy_uj <= layer(QUICK).energy_uj


def test_equal_layers_run_once_and_failures_name_theirs(
    varied: Workload, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def figures(*arguments):
        calls.append(arguments)
        return {"energy_pj": 1.0, "total_cycles": 3.0, "cycles": 2.0, "dram_bytes": 4.0}

    monkeypatch.setattr(zigzag, "missing_package", lambda package, title: None)
    monkeypatch.setattr(zigzag, "run_child", figures)
    result = ZigZag().simulate(only(varied, "query", "query2", "head"), hardware)
    assert len(calls) == 2
    assert [layer.name for layer in result.layers] == ["query", "query2", "head"]
    assert [(layer.cycles, layer.stall_cycles) for layer in result.layers] == [(2.0, 1.0)] * 3
    monkeypatch.setattr(zigzag, "run_child", lambda *arguments: {"energy_pj": None})
    with pytest.raises(MeasurementFailed, match=r"^layer stem: its result cannot be read"):
        ZigZag().simulate(varied, hardware)


@needed
def test_a_buffer_smaller_than_the_registers_below_it_is_said(
    varied: Workload, hardware: Hardware
) -> None:
    small = {**hardware, "rows": 64, "columns": 64, "dataflow": "ws", "weight_buffer_kib": 1}
    wide = replace(varied.layers[-1], name="wide", in_channels=64, out_channels=64)
    with pytest.raises(MeasurementFailed, match=r"^layer wide: no order of its loops fits"):
        QUICK.simulate(replace(varied, layers=(wide,)), small)


@needed
def test_a_time_limit_names_the_layer(varied: Workload, hardware: Hardware) -> None:
    with pytest.raises(MeasurementFailed, match=r"^layer stem: .*time limit of 0\.01 s$"):
        ZigZag(time_limit_s=0.01).simulate(varied, hardware)


def test_without_it_the_command_is_named(
    varied: Workload, hardware: Hardware, absent: None
) -> None:
    with pytest.raises(MeasurementFailed) as failure:
        ZigZag().simulate(varied, hardware)
    assert str(failure.value) == "ZigZag is not installed: pip install 'archwright[simulators]'"


@needed
def test_what_it_cannot_run_is_said_and_what_is_rounded_is_noted(
    varied: Workload, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArchwrightError, match="dataflow = 'ts'"):
        ZigZag().simulate(varied, {**hardware, "dataflow": "ts"})
    with pytest.raises(MeasurementFailed, match="bits = 8"):
        ZigZag().simulate(replace(varied, bits=16), hardware)
    figures = {"energy_pj": 1.0, "total_cycles": 3.0, "cycles": 2.0, "dram_bytes": 4.0}
    monkeypatch.setattr(zigzag, "run_child", lambda *arguments: figures)
    slow = {**hardware, "dram_gb_per_s": 0.25, "clock_mhz": 800}
    assert any(
        "2 bits per cycle instead of 2.5" in n for n in ZigZag().simulate(varied, slow).notes
    )
