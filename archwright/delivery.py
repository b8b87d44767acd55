"""The folder ``best/``: everything that building the chosen design needs.

Weights, ONNX, network and hardware as TOML, inputs for SCALE-Sim, and the command that
reproduces it. The module that is exported is the one whose accuracy was measured.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.design import Design
from archwright.evaluators.hardware import dump_hardware, export_scalesim
from archwright.workbench import Bench

if TYPE_CHECKING:
    from archwright.evaluators.supernet import Checkpoint


def deliver(design: Design, bench: Bench, checkpoint: Checkpoint, folder: Path, run: str) -> None:
    """Write the folder anew: a half-written one of an earlier attempt goes."""
    import tomli_w

    from archwright.evaluators.supernet import export_design

    partial = folder.with_name(folder.name + ".partial")
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    shape = bench.data.shape
    table = {"input": vars(shape), "network": dict(design.network)}
    (partial / "network.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    dump_hardware(design.hardware, partial / "hardware.toml")
    row = bench.problem.network_space.encode([design.network])
    workload = bench.problem.costing.workloads(row)[0]
    export_scalesim(workload, design.hardware, partial / "scalesim")
    exported = export_design(checkpoint, bench, design, partial)
    (partial / "README.md").write_text(_readme(design, run, exported), encoding="utf-8")
    partial.rename(folder)


def _readme(design: Design, run: str, exported: object) -> str:
    return ""
