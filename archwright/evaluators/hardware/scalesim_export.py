"""A workload on a hardware as input files for SCALE-Sim 3.0.0.

The topology lists the very products that the analytical model computes: a grouped
convolution is one product for each group (a depthwise one: a single filter for each
channel), an attention's matmul one for each group and each input of the batch. Layers
with weights take the whole batch in one product. The vector unit's layers (pooling,
element by element, normalisation) are no products and are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from archwright.errors import SpaceError, UserError
from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.space import Point
from archwright.workload import Layer, LayerKind, Workload

RUN_NAME = "archwright"

_CONFIG = """[general]
run_name = {run_name}

[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = {input_buffer_kib}
FilterSramSzkB = {weight_buffer_kib}
OfmapSramSzkB = {output_buffer_kib}
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = {dataflow}
Bandwidth = {words_per_cycle}
ReadRequestBuffer = 64
WriteRequestBuffer = 64

[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2

[sparsity]
SparsitySupport = false
SparseRep = ellpack_block
OptimizedMapping = false
BlockSize = 8
RandomNumberGeneratorSeed = 40

[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""


def export_scalesim(workload: Workload, hardware_point: Point, folder: Path) -> None:
    """Write scale.cfg, topology.csv and layout.csv into ``folder`` (made if missing).

    They run with ``scalesim(config=..., topology=..., layout=..., input_type_gemm=True)``;
    the layout is required but not used. ``Bandwidth`` is given in words, for the record:
    in the mode "CALC" SCALE-Sim reports the bandwidth that a run without stalls needs.
    Raises :class:`UserError` for a hardware that is none, for buffers that are no whole
    KiB (SCALE-Sim takes nothing else) and for a workload without any product.
    """
    points = HardwareColumns.checked(hardware_point)
    for name in ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib"):
        if points[name][0] % 1:
            raise SpaceError(f"{name} = {points[name][0]:g}: SCALE-Sim takes whole KiB only")
    rows = [
        (f"{_name(layer.name)}_{i}" if times > 1 else _name(layer.name), m, n, k)
        for layer in workload.layers
        if layer.on_array
        for m, n, k, times in [products(layer, workload.batch)]
        for i in range(times)
    ]
    if not rows:
        raise UserError(f"workload {workload.name}: it has no layer that runs on the array")
    word_cycles = float(points.cycles_per_byte[0]) * workload.bits / 8
    config = _CONFIG.format(
        run_name=RUN_NAME,
        dataflow=str(points.dataflow[0]),
        words_per_cycle=max(1, round(1 / word_cycles)),
        **{name: int(points[name][0]) for name in points.values if name not in _NOT_SCALESIM},
    )
    topology = ["Layer, M, N, K,"]
    topology += [f"{name}, {m}, {n}, {k}," for name, m, n, k in rows]
    # 1 for every one of the layout's orders and steps: it is parsed, then not used.
    layout = ["Layer," + ",".join(f"step{i}" for i in range(_LAYOUT_FIELDS)) + ","]
    layout += [f"{name}," + "1," * _LAYOUT_FIELDS for name, *_ in rows]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scale.cfg").write_text(config, encoding="utf-8")
    (folder / "topology.csv").write_text("\n".join(topology) + "\n", encoding="utf-8")
    (folder / "layout.csv").write_text("\n".join(layout) + "\n", encoding="utf-8")


def products(layer: Layer, batch: int) -> tuple[int, int, int, int]:
    """(m, n, k, times) of a layer on the array, for ``batch`` inputs.

    The inputs share a layer's weights, so that they make up one product; a matmul's
    second operand is each input's own.
    """
    m, n, k, times = layer.gemm
    return (m, n, k, times * batch) if layer.kind is LayerKind.MATMUL else (m * batch, n, k, times)


_LAYOUT_FIELDS = 19
_NOT_SCALESIM = ("dram_gb_per_s", "clock_mhz", "bits")


def _name(layer_name: str) -> str:
    """A name that is safe in SCALE-Sim's comma-separated rows; "DP" means depthwise there."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", layer_name).replace("DP", "Dp")
