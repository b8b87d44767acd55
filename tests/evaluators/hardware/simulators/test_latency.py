"""Measured latency: the interval, what makes a machine noisy, and files that do not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from archwright.errors import ArchwrightError, MeasurementFailed
from archwright.evaluators.hardware.simulators import Measured, measure_latency
from archwright.evaluators.hardware.simulators.latency import median_interval, noise
from archwright.measurement import Fidelity
from archwright.workload import Workload


def model(path: Path, nodes: list[onnx.NodeProto], shape: list[int | str]) -> Path:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "test",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, None)],
    )
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save_model(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), str(path))
    return path


# Ranks of the 95% interval: table A.1 of Le Boudec's book.
@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(6, 1, 6), (8, 1, 8), (10, 2, 9), (20, 6, 15), (30, 10, 21), (50, 18, 33)],
)
def test_the_interval_has_the_ranks_of_the_table(n: int, low: int, high: int) -> None:
    values = np.random.default_rng(0).permutation(np.arange(1, n + 1)).tolist()
    assert median_interval(values) == (low, high)


@settings(deadline=None)
@given(st.integers(6, 3000))
def test_the_interval_covers_95_percent_and_is_the_shortest_that_does(n: int) -> None:
    low, high = median_interval(range(1, n + 1))
    assert low + high == n + 1
    assert 2 * binom.cdf(low - 1, n, 0.5) <= 0.05
    assert 2 * binom.cdf(low, n, 0.5) > 0.05


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=200))
def test_the_median_lies_in_its_interval(values: list[float]) -> None:
    low, high = median_interval(values)
    assert min(values) <= low <= np.median(values) <= high <= max(values)


QUIET = [1.0 + 0.001 * (i % 7) for i in range(100)]


@pytest.mark.parametrize(
    ("runs", "loops", "load", "threads", "reason"),
    [
        (QUIET, QUIET, 0.1, 1, None),
        (QUIET, QUIET, 2.9, 1, None),
        ([*QUIET[:-5], 9, 9, 9, 9, 9], QUIET, 0, 1, None),  # rare outliers are not the machine's
        ([1.0, 1.5] * 50, QUIET, 0, 1, "the runs spread by 40%"),
        (QUIET, [1.0, 1.5] * 50, 0, 1, "a fixed loop between them spread by 40%"),
        ([1.0] * 51 + [1.08] * 49, QUIET, 0, 1, "halves|half differ by 8%"),
        (QUIET, QUIET, 3.5, 1, "load 3.5 before 1 of 4 cores"),
        (QUIET, QUIET, 1.5, 3, "load 1.5 before 3 of 4 cores"),
    ],
)
def test_a_noisy_machine_is_told_with_the_reason(
    runs: list[float], loops: list[float], load: float, threads: int, reason: str | None
) -> None:
    found = noise(runs, loops, load, threads, cores=4)
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert any(part in found for part in reason.split("|"))


def test_a_model_is_timed(tmp_path: Path, temporary: Path) -> None:
    here = set(Path.cwd().iterdir())
    nodes = [
        onnx.helper.make_node("Softmax", ["x"], ["h"], "soft"),
        onnx.helper.make_node("Relu", ["h"], ["y"], "rectify"),
    ]
    path = model(tmp_path / "model.onnx", nodes, ["batch", 64])
    latency = measure_latency(path, seconds=0.05, least_runs=40, layers=True)
    assert latency.runs >= 40
    assert 0 < latency.low_ms <= latency.median_ms <= latency.high_ms
    assert {"soft", "rectify"} & set(latency.layers_ms)
    assert all(time_ms >= 0 for time_ms in latency.layers_ms.values())
    assert list(temporary.iterdir()) == []
    assert set(Path.cwd().iterdir()) == here


def test_what_does_not_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArchwrightError, match=r"missing\.onnx"):
        measure_latency(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_bytes(b"\xff\x00 no model")
    with pytest.raises(ArchwrightError):
        measure_latency(tmp_path / "text.onnx")
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    free = model(tmp_path / "free.onnx", [node], ["batch", "tokens"])
    with pytest.raises(MeasurementFailed, match=r"input x has shape .*tokens.*fixed sizes"):
        measure_latency(free)
    unknown = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    with pytest.raises(MeasurementFailed, match="NoSuchOperator"):
        measure_latency(model(tmp_path / "unknown.onnx", [unknown], [1]))


def test_a_model_that_takes_for_ever_is_ended(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    path = model(tmp_path / "model.onnx", [node], [1, 2**20])
    with pytest.raises(MeasurementFailed, match="time limit of 1 s"):
        measure_latency(path, seconds=600, time_limit_s=1)


def test_a_workload_is_measured_with_its_interval(varied: Workload, temporary: Path) -> None:
    result = Measured(seconds=0.05).simulate(varied, {})
    assert result.fidelity is Fidelity.MEASURED
    low, high = result.intervals["latency_ms"]
    assert 0 < low <= result.totals["latency_ms"] <= high
    assert [layer.name for layer in result.layers] == [layer.name for layer in varied.layers]
    assert sum(layer.latency_us is not None for layer in result.layers) >= 8
    assert any("not the hardware of the design" in note for note in result.notes)
    assert any("random weights" in note for note in result.notes)
    assert list(temporary.iterdir()) == []


def test_a_networks_own_file_is_measured(varied: Workload, tmp_path: Path) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"], varied.layers[0].name)
    path = model(tmp_path / "model.onnx", [node], [1, 8])
    result = Measured(path, seconds=0.05).simulate(varied, {})
    assert [layer.name for layer in result.layers if layer.latency_us is not None] == ["stem"]
    assert not any("random weights" in note for note in result.notes)


def test_without_onnxruntime_the_command_is_named(varied: Workload, absent: None) -> None:
    with pytest.raises(MeasurementFailed, match="onnxruntime is not installed: pip install"):
        Measured().simulate(varied, {})
