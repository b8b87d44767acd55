"""SCALE-Sim: its cycles beside the formulas', what it cannot do, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from archwright.errors import ArchwrightError, MeasurementFailed, SpaceError
from archwright.evaluators.hardware import gemm_cycles
from archwright.evaluators.hardware.simulators import Analytical, ScaleSim, scalesim
from archwright.evaluators.hardware.simulators.child import run_child
from archwright.space import Value
from archwright.workload import Workload

Hardware = dict[str, Value]

needed = pytest.mark.skipif(
    ScaleSim().missing() is not None, reason="scalesim is not installed (extra [simulators])"
)


@needed
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_cycles_are_those_of_the_formulas(
    varied: Workload, hardware: Hardware, dataflow: str, temporary: Path
) -> None:
    hardware["dataflow"] = dataflow
    here = set(Path.cwd().iterdir())
    result = ScaleSim().simulate(varied, hardware)
    analytical = Analytical().simulate(varied, hardware)
    for layer, ours, found in zip(varied.layers, analytical.layers, result.layers, strict=True):
        assert found.name == layer.name
        if layer.on_array:
            assert (found.macs, found.cycles) == (layer.macs * 2, ours.cycles)
        else:
            assert (found.macs, found.cycles) == (0, None)
    on_array = [layer for layer in result.layers if layer.macs]
    assert result.totals["cycles"] == sum(layer.cycles or 0 for layer in on_array)
    assert result.totals["macs"] == varied.macs
    assert result.totals["latency_ms"] == pytest.approx(
        (result.totals["cycles"] + result.totals["stall_cycles"]) / 400e3
    )
    assert "energy_uj" not in result.totals
    assert any("4 of 11 layers not covered" in note for note in result.notes)
    assert list(temporary.iterdir()) == []
    assert set(Path.cwd().iterdir()) == here


@needed
def test_stalls_are_told_from_cycles(hardware: Hardware, varied: Workload) -> None:
    hardware |= {"rows": 64, "columns": 64, "output_buffer_kib": 1, "input_buffer_kib": 1}
    stem = replace(varied, layers=varied.layers[:1], batch=8)
    (layer,) = ScaleSim().simulate(stem, hardware).layers
    m, n, k, _ = stem.layers[0].gemm
    assert layer.cycles == int(gemm_cycles(8 * m, n, k, 64, 64, "os"))
    assert layer.stall_cycles is not None
    assert layer.latency_us == pytest.approx((layer.cycles + layer.stall_cycles) / 400)


@needed
def test_equal_products_run_once(
    varied: Workload, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return run_child(*arguments)

    monkeypatch.setattr(scalesim, "run_child", counted)
    layers = [layer for layer in varied.layers if layer.name.startswith(("query", "depth"))]
    result = ScaleSim().simulate(replace(varied, layers=tuple(layers)), hardware)
    assert len(calls) == 2
    depthwise, first, second = result.layers
    assert first.cycles == second.cycles
    assert depthwise.cycles == 8 * int(gemm_cycles(2 * 9, 1, 9, 8, 4, "os"))


@needed
def test_a_time_limit_names_the_layer(varied: Workload, hardware: Hardware) -> None:
    with pytest.raises(MeasurementFailed, match=r"^layer stem \(72 x 8 x 27\): .*0\.01 s$"):
        ScaleSim(time_limit_s=0.01).simulate(varied, hardware)


@pytest.mark.parametrize("answer", [{}, {"cycles": "many", "stall_cycles": 0, "dram_words": 0}])
def test_a_report_that_makes_no_sense_is_a_failure(
    varied: Workload, hardware: Hardware, monkeypatch: pytest.MonkeyPatch, answer: dict[str, str]
) -> None:
    monkeypatch.setattr(scalesim, "missing_package", lambda package, title: None)
    monkeypatch.setattr(scalesim, "run_child", lambda *arguments: answer)
    with pytest.raises(MeasurementFailed, match=r"layer stem .* report cannot be read"):
        ScaleSim().simulate(varied, hardware)


def test_without_it_the_command_is_named(
    varied: Workload, hardware: Hardware, absent: None
) -> None:
    reason = "SCALE-Sim is not installed: pip install 'archwright[simulators]'"
    assert ScaleSim().missing() == reason
    assert ScaleSim().version.startswith("absent")
    with pytest.raises(MeasurementFailed) as failure:
        ScaleSim().simulate(varied, hardware)
    assert str(failure.value) == reason


@needed
def test_what_it_cannot_run_is_said(varied: Workload, hardware: Hardware) -> None:
    with pytest.raises(ArchwrightError, match="dataflow = 'rs'"):
        ScaleSim().simulate(varied, {**hardware, "dataflow": "rs"})
    with pytest.raises(MeasurementFailed, match="bits = 8"):
        ScaleSim().simulate(replace(varied, bits=16), hardware)
    with pytest.raises(SpaceError, match="rows = -1"):
        ScaleSim().simulate(varied, {**hardware, "rows": -1})
    with pytest.raises(MeasurementFailed, match=r"layer stem .*input_buffer_kib = 1\.5: .*whole"):
        ScaleSim().simulate(varied, {**hardware, "input_buffer_kib": 1.5})
