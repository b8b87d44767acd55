"""One pair through every fidelity, on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from archwright import comparison
from archwright.comparison import compare_fidelities, print_comparison
from archwright.errors import UserError
from archwright.evaluators.hardware import dump_hardware, hardware_space
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.simulation import NetworkFile, load_workload, run_simulation
from archwright.tools.simulate_hardware import SOURCES, Source

SHAPE = InputShape(1, 8, 10)
NETWORK = network_space(SHAPE).decode(np.zeros((1, 14), dtype=np.int64))[0]
HARDWARE = hardware_space().decode(np.array([[1, 1, 0, 1, 1, 1, 1, 1, 1]]))[0]


@pytest.mark.slow
def test_every_fidelity_answers_or_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    begun: list[str] = []
    found = compare_fidelities(NetworkFile(workload_of(NETWORK, SHAPE)), HARDWARE, begun.append)
    assert begun == list(SOURCES)
    answered = [simulation.fidelity for simulation in found.simulations]
    assert {*answered, *found.failed} == set(SOURCES)
    assert {"analytical", "measured"} <= set(answered)
    for reason in found.failed.values():
        assert "pip install" in reason
    if "scalesim" in answered:
        cycles = next(a for a in found.agreements if a.fidelity == "scalesim")
        assert (cycles.metric, cycles.median_ratio, cycles.spearman) == ("cycles", 1.0, 1.0)
    file = io.StringIO()
    print_comparison(found, Console(file=file, width=80))
    assert max(map(len, file.getvalue().splitlines())) <= 80
    for source in SOURCES:
        assert source in file.getvalue()


def test_a_fidelity_that_fails_is_listed_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    sources: tuple[Source, ...] = ("analytical", "scalesim")
    monkeypatch.setattr(comparison, "SOURCES", sources)
    row_stationary = {**HARDWARE, "dataflow": "rs"}  # which SCALE-Sim does not know
    found = compare_fidelities(NetworkFile(workload_of(NETWORK, SHAPE)), row_stationary)
    assert [simulation.fidelity for simulation in found.simulations] == ["analytical"]
    assert set(found.failed) == {"scalesim"}
    assert found.agreements == []


def test_a_network_that_does_not_fit_its_hardware_is_one_line() -> None:
    wide = {**NETWORK, "bits": 16}
    narrow = {**HARDWARE, "bits": 8}
    with pytest.raises(UserError, match="hardware: bits = 8: "):
        compare_fidelities(NetworkFile(workload_of(wide, SHAPE)), narrow)


def test_an_onnx_file_is_costed_and_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Det", ["y"], ["z"]),
    ]
    weights = helper.make_tensor("w", floats, [4, 1, 3, 3], np.zeros(36).tolist())
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", floats, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("z", floats, [1, 4])],
        [weights],
    )
    network = tmp_path / "network.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), network)
    assert load_workload(network, 4).workload.bits == 4
    hardware = tmp_path / "hardware.toml"
    dump_hardware(HARDWARE, hardware)
    run_simulation(network, hardware, None, "analytical", 8, as_json=True)
    simulation = json.loads(capsys.readouterr().out)
    assert simulation["totals"]["macs"] == 8 * 8 * 9 * 4
    assert "Det" in simulation["notes"][-1]
    with pytest.raises(UserError, match="--fidelity guess: allowed analytical, scalesim"):
        run_simulation(network, hardware, None, "guess", 8, as_json=False)
