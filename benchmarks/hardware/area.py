"""Area: Eyeriss's core at 65 nm, predicted from constants of 45 nm and a published scaling.

The chip (Chen et al., "Eyeriss: An Energy-Efficient Reconfigurable Accelerator for Deep
Convolutional Neural Networks", JSSC 52(1), 2017): 12 x 14 elements of 16 bits with 520
bytes of register file each, a global buffer of 108 KiB, core area 12.25 mm2 at 65 nm.
Nothing here is fitted to it.
"""

from __future__ import annotations

from archwright.evaluators.hardware import AnalyticalModel
from benchmarks.row import Row

CORE_MM2 = 12.25
# The global buffer has 100 KiB for inputs and partial sums and 8 KiB for weights.
EYERISS = {
    "rows": 12,
    "columns": 14,
    "dataflow": "ws",  # the area does not depend on it
    "input_buffer_kib": 50,
    "weight_buffer_kib": 8,
    "output_buffer_kib": 50,
    "dram_gb_per_s": 1.0,
    "clock_mhz": 200,
    "bits": 16,
    "node_nm": 65,
    "register_file_bytes": 520,
}


def measure() -> list[Row]:
    areas = AnalyticalModel().area_breakdown(EYERISS)
    core = {name: area for name, area in areas.items() if name != "interface"}
    total = sum(core.values())
    parts = ", ".join(f"{name} {area:.2f}" for name, area in core.items())
    return [
        Row(
            "Eyeriss's core area at 65 nm, mm2",
            f"{CORE_MM2} (the chip)",
            f"{total:.2f}, error {total / CORE_MM2 - 1:+.0%}",
            None,
        ),
        Row("- of which", "", parts, None),
    ]
