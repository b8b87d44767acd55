"""Eyeriss running AlexNet: the row-stationary model against the measured chip.

The chip: Chen et al., IEEE JSSC 52(1), 2017; its measurements (table V, batches of 4) are
tests/data/eyeriss_alexnet.csv (cucapra/fodlam, see NOTICE).

- Active elements and latency come from the mapping and the architecture; nothing is
  fitted. The latency is the processing latency, with DRAM traffic overlapped.
- Power is the chip's, over the total latency (the chip waits for DRAM: measured total
  minus measured processing latency is added to our latency). The clock network takes a
  constant power, the share of CONV1's power that figure 16 (a) of the paper gives; all else
  is activity in Eyeriss's own proportions (ISCA 2016, table IV) with one scale that makes
  CONV1 right. A zero input keeps its weight unread and its multiplier still (JSSC, V-C).
"""

from __future__ import annotations

import csv
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np

from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.demand import Demand
from archwright.evaluators.hardware.layers import LayerRows, layer_rows
from archwright.evaluators.hardware.row_mapping import (
    INPUT_SHARE,
    SUM_BYTES,
    SUM_SHARE,
    WEIGHT_SHARE,
)
from archwright.evaluators.hardware.row_stationary import fastest_mapping, row_stationary_demand
from archwright.workload import Layer, LayerKind, Workload
from benchmarks.row import Row

DATA = Path(__file__).resolve().parents[2] / "tests" / "data" / "eyeriss_alexnet.csv"
LAYER_ASKED, TOTAL_ASKED, POWER_ASKED, ELEMENTS_ASKED = 0.12, 0.06, 0.25, 1

CLOCK_SHARE_OF_CONV1 = 0.329
"""Of the chip's power, in its clock network (JSSC, figure 16 a)."""

# ISCA 2016, table IV, as multiples of a 16-bit multiply-accumulate: an access to a register
# file of 0.5 KiB, to another element, to the global buffer. Eyeriss's three register files
# are smaller; their accesses are scaled by the square root of the capacity, as those of all
# memories in the analytical model.
REGISTER_FILE, ARRAY, BUFFER, REGISTER_FILE_BYTES = 1.0, 2.0, 6.0, 512.0


def alexnet() -> Workload:
    """AlexNet's five convolutions (Krizhevsky et al., NeurIPS 2012), a batch of 4."""
    return Workload(
        "alexnet",
        (
            _convolution("CONV1", 3, 96, 227, 55, 11, stride=4),
            _convolution("CONV2", 96, 256, 27, 27, 5, groups=2),
            _convolution("CONV3", 256, 384, 13, 13, 3),
            _convolution("CONV4", 384, 384, 13, 13, 3, groups=2),
            _convolution("CONV5", 384, 256, 13, 13, 3, groups=2),
        ),
        bits=16,
        batch=4,
    )


def _convolution(
    name: str,
    inputs: int,
    outputs: int,
    in_side: int,
    out_side: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
) -> Layer:
    sides = (in_side, in_side, out_side, out_side)
    kind = LayerKind.CONVOLUTION
    return Layer(name, kind, inputs, outputs, *sides, kernel, stride, groups=groups)


def eyeriss() -> HardwareColumns:
    """The chip, from its preset."""
    folder = files("archwright.evaluators.hardware") / "presets"
    point = tomllib.loads((folder / "eyeriss.toml").read_text(encoding="utf-8"))
    # The row-stationary demand is asked for by name: any dataflow that is known will do.
    return HardwareColumns.checked(point)


def measured(path: Path = DATA) -> dict[str, Floats]:
    """The chip's measurements of the five layers, by column."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Layer"] != "Total"]
    names = [name for name in rows[0] if name != "Layer"]
    return {name: np.array([_number(row[name]) for row in rows]) for name in names}


def _number(text: str) -> float:
    text = text.strip()
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def dynamic_energy(layers: LayerRows, asked: Demand, zeros: Floats) -> Floats:
    """Energy of each layer beside the clock's, in multiply-accumulates of 16 bits."""
    own = eyeriss()["register_file_bytes"]
    of_input, of_weight, of_sum = (
        REGISTER_FILE * np.sqrt(own * share / REGISTER_FILE_BYTES)
        for share in (INPUT_SHARE, WEIGHT_SHARE, SUM_SHARE)
    )
    skipped = zeros * layers.macs
    size = layers.bytes
    buffers = (asked.buffer_inputs + asked.buffer_weights) / size + asked.buffer_outputs / SUM_BYTES
    energy: Floats = (
        layers.macs
        - skipped
        + of_input * asked.register_inputs / size
        + of_weight * (asked.register_weights / size - skipped)
        + of_sum * asked.register_outputs / SUM_BYTES
        + ARRAY * asked.array_bytes / size
        + BUFFER * buffers
    )
    return energy


def measure() -> list[Row]:
    workload, hardware, chip = alexnet(), eyeriss(), measured()
    layers = layer_rows([workload])
    asked = row_stationary_demand(layers, hardware)
    _, active = fastest_mapping(layers, hardware)
    processing_ms = asked.cycles / (hardware["clock_mhz"] * 1e3)
    wait_ms = chip["Total Latency (ms)"] - chip["Processing Latency (ms)"]
    total_ms = processing_ms + wait_ms

    energy = dynamic_energy(layers, asked, chip["Zeros in Ifmaps"])
    first_mw = chip["Power (mW)"][0]
    clock_mw = CLOCK_SHARE_OF_CONV1 * first_mw
    scale = (first_mw - clock_mw) * total_ms[0] / energy[0]
    power_mw = clock_mw + scale * energy / total_ms

    rows = []
    for i, layer in enumerate(workload.layers):
        elements, of_chip = active[i], chip["Num. of Active PEs"][i]
        rows.append(
            Row(
                f"Eyeriss {layer.name}: active elements",
                f"{of_chip:.0f}, within {ELEMENTS_ASKED}",
                f"{elements:.0f}",
                bool(abs(elements - of_chip) <= ELEMENTS_ASKED),
            )
        )
    latencies = chip["Processing Latency (ms)"]
    for i, layer in enumerate(workload.layers):
        name = f"Eyeriss {layer.name}: latency, nothing fitted"
        rows.append(_compared(name, processing_ms[i], latencies[i], "ms", LAYER_ASKED))
    name = "Eyeriss CONV1 to CONV5: latency, nothing fitted"
    rows.append(_compared(name, processing_ms.sum(), latencies.sum(), "ms", TOTAL_ASKED))
    for i, layer in enumerate(workload.layers[1:], start=1):
        name = f"Eyeriss {layer.name}: chip power, scaled on CONV1"
        rows.append(_compared(name, power_mw[i], chip["Power (mW)"][i], "mW", POWER_ASKED))
    # Weights pass the global buffer twice: into it from DRAM, out of it into the array.
    buffers = asked.buffer_inputs + 2 * asked.buffer_weights + asked.buffer_outputs
    for i, layer in enumerate(workload.layers):
        name = f"Eyeriss {layer.name}: global buffer accesses"
        accesses = chip["Global Buffer Accesses (MB)"][i]
        rows.append(_compared(name, buffers[i] / 1e6, accesses, "MB", None))
    return rows


def _compared(what: str, reached: float, of_chip: float, unit: str, asked: float | None) -> Row:
    error = reached / of_chip - 1
    within = "" if asked is None else f" within {asked:.0%}"
    met = None if asked is None else bool(abs(error) <= asked)
    return Row(what, f"{of_chip:.1f} {unit}{within}", f"{reached:.1f} {unit} ({error:+.1%})", met)
