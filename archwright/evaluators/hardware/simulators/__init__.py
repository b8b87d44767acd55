"""Ways of judging a workload on a hardware, behind one interface, cheapest first.

Where things are:

- ``result``: what each of them gives back, and the interface
- ``analytical``, ``scalesim``, ``zigzag``, ``measured``: the four
- ``evaluator``: any of them as an instrument for designs
- ``zigzag_inputs``: hardware and dataflow in ZigZag's words
- ``latency``: an ONNX model's latency on this machine; ``workload_onnx``: a workload as one
- ``child``: a process of their own for what others wrote; ``children``: what runs there
- ``installed``: which of them are there

To add one: write its module, name it in :func:`simulators`.
"""

from __future__ import annotations

from collections.abc import Mapping

from archwright.evaluators.hardware.simulators.analytical import Analytical
from archwright.evaluators.hardware.simulators.evaluator import SimulatorEvaluator
from archwright.evaluators.hardware.simulators.latency import Latency, measure_latency
from archwright.evaluators.hardware.simulators.measured import Measured
from archwright.evaluators.hardware.simulators.result import (
    HardwareResult,
    LayerResult,
    Simulator,
)
from archwright.evaluators.hardware.simulators.scalesim import ScaleSim
from archwright.evaluators.hardware.simulators.workload_onnx import workload_onnx
from archwright.evaluators.hardware.simulators.zigzag import ZigZag

__all__ = [
    "Analytical",
    "HardwareResult",
    "Latency",
    "LayerResult",
    "Measured",
    "ScaleSim",
    "Simulator",
    "SimulatorEvaluator",
    "ZigZag",
    "measure_latency",
    "simulators",
    "workload_onnx",
]


def simulators() -> Mapping[str, Simulator]:
    """All of them with their default options, by name. Nothing is imported or looked for."""
    ways: tuple[Simulator, ...] = (Analytical(), ScaleSim(), ZigZag(), Measured())
    return {way.name: way for way in ways}
