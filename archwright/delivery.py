"""The folder ``best/``: everything that building the chosen design needs.

Weights, ONNX, network and hardware as TOML, inputs for SCALE-Sim, and the commands that
reproduce it. The module that is exported is made as the one whose accuracy was measured.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.design import Design
from archwright.evaluators.hardware import DATAFLOWS, dump_hardware, export_scalesim
from archwright.measurement import Measurement
from archwright.workbench import Bench

if TYPE_CHECKING:
    from archwright.evaluators.supernet import Checkpoint, FurtherTraining, Parity


def deliver(
    design: Design,
    bench: Bench,
    checkpoint: Checkpoint,
    folder: Path,
    accuracy_test: Measurement | None = None,
    trained: FurtherTraining | None = None,
) -> None:
    """Write the folder anew; it appears whole or not at all.

    The weights are inherited from the supernet, or those of ``trained`` where it is given.

    Raises :class:`MeasurementFailed` when the network cannot be exported.
    """
    import tomli_w

    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    images = {**vars(bench.data.shape), "family": bench.brief.network.space}
    table = {"input": images, "network": dict(design.network)}
    (partial / "network.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    dump_hardware(design.hardware, partial / "hardware.toml")
    row = bench.problem.network_space.encode([design.network])
    workload = bench.problem.costing.workloads(row)[0]
    if design.hardware["dataflow"] in DATAFLOWS:  # SCALE-Sim knows no other arrays
        export_scalesim(workload, design.hardware, partial / "scalesim")
    parity = _export(design, bench, checkpoint, partial, trained)
    (partial / "README.md").write_text(
        _readme(design, accuracy_test, parity, trained), encoding="utf-8"
    )
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _export(
    design: Design,
    bench: Bench,
    checkpoint: Checkpoint,
    folder: Path,
    trained: FurtherTraining | None,
) -> Parity:
    import torch

    from archwright.evaluators.supernet import export_network, load_supernet, prepare

    data = bench.data
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as it was measured: sums depend on their order
    try:
        if trained is None:
            supernet = load_supernet(checkpoint.path, bench.supernet_space, data.shape)
            calibration, _ = data.take(data.calibration())
            module = prepare(supernet, design.network, torch.from_numpy(calibration))
        else:
            module = trained.at_bits(design.network)
        test = data.split("test")
        return export_network(module, data.images[test], data.labels[test], folder).parity
    finally:
        torch.set_num_threads(threads)


def _readme(
    design: Design, test: Measurement | None, parity: Parity, trained: FurtherTraining | None
) -> str:
    weights = "inherited from the supernet"
    if trained is not None:
        weights += f", then trained for {sum(trained.epochs)} epochs"
    measured = (
        "not scored" if test is None else f"{test.value:.4f} ({test.low:.4f}-{test.high:.4f})"
    )
    return f"""# Design {design.key}

| file | what it is |
|---|---|
| `network.onnx` | float32 "images" in 0..1 (batch, channels, side, side) to "logits" |
| `weights.safetensors` | the weights, batch norm folded, at {design.network["bits"]} bits |
| `network.toml`, `hardware.toml` | the two points of their spaces |
| `scalesim/` | configuration, topology and layout for SCALE-Sim 3 |

The weights are {weights}.
Accuracy on the test split, measured on them: {measured}.
In onnxruntime: {parity.onnx_accuracy:.4f}; the same class for {parity.agreement:.2%} of \
{parity.images} images, logits at most {parity.largest_difference:.2g} apart.

    archwright simulate network.toml --hardware hardware.toml
    archwright search brief.toml --run-dir again

The first prints the costs of this design, layer by layer. The second repeats the search that
found it, from the run's folder.
"""
