"""One pair of a network and a hardware through SCALE-Sim and ZigZag, and the analytical rate.

The pair is MobileNetV2 on an array of 64 x 64, output-stationary. Simulators run equal
layers once, in processes of one thread; the analytical model costs the network on every
point of the hardware space, in the same run, all outputs.
"""

from __future__ import annotations

import time

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware import OUTPUTS, AnalyticalModel, hardware_space
from archwright.evaluators.hardware.simulators import simulators
from archwright.space import Value
from benchmarks.hardware.throughput import mobilenet_v2
from benchmarks.row import Row

HARDWARE: dict[str, Value] = {
    **{"rows": 64, "columns": 64, "dataflow": "os", "bits": 8},
    **{"input_buffer_kib": 64, "weight_buffer_kib": 64, "output_buffer_kib": 64},
    **{"dram_gb_per_s": 16.0, "clock_mhz": 400},
}
ASKED = 1e5
RUNS = 3


def measure() -> list[Row]:
    rate = _rate()
    rows = [Row("MobileNetV2 x hardware, analytical, all outputs", "", f"{rate:,.0f}/s", None)]
    for name in ("scalesim", "zigzag"):
        what = f"the same pair, {name} / analytical"
        asked = f">= {ASKED:,.0f} times"
        try:
            seconds = simulators()[name].simulate(mobilenet_v2(), HARDWARE).seconds
        except MeasurementFailed as failure:
            rows.append(Row(what, asked, str(failure), False))
            continue
        ratio = seconds * rate
        rows.append(Row(what, asked, f"{seconds:.0f} s: {ratio:.1e} times", ratio >= ASKED))
    return rows


def _rate() -> float:
    """Pairs that the analytical model costs in a second; the best of some runs."""
    space, network = hardware_space(), [mobilenet_v2()]
    columns = space.columns(space.enumerate())
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        AnalyticalModel().evaluate(network, columns, metrics=OUTPUTS)
        seconds.append(time.perf_counter() - start)
    return space.size / min(seconds)
