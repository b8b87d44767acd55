"""Hardware: what a network costs on an accelerator. NumPy only.

Where things are:

- ``space``: the hardware space, and hardware as TOML files
- ``cycles``: stall-free cycles of a matrix product on a systolic array
- ``costs``: the constants of 45 nm silicon, each with its source
- ``columns``: hardware points as checked arrays, and what follows from them alone
- ``layers``: the layers of workloads as rows of numbers
- ``demand``: what layers ask: cycles, and bytes by type and level of memory
- ``systolic``: the same for products under one of the systolic dataflows
- ``row_mapping``, ``row_stationary``: the same for arrays like Eyeriss
- ``dataflows``: which dataflow is served by which of these modules
- ``totals``: from those to time, energy and metrics
- ``blocks``: networks x hardware, cut into blocks of bounded memory
- ``analytical``: the model that ties these together; the entry point
- ``evaluator``: the model as an instrument for designs
- ``scalesim_export``, ``zigzag_export``: the same workload as input of SCALE-Sim and ZigZag
- ``simulators``: these two, and the network measured on this machine, as fidelities
- ``hierarchy``: any accelerator that is described by its memories, mapped by a search
- ``platforms``: processors as rooflines: GPUs, CPUs, a microcontroller
- ``learned``: a predictor that corrects the analytical model from simulator results
- ``gym_env``: the hardware space as a gymnasium environment
"""

from archwright.evaluators.hardware.analytical import AnalyticalModel, LayerCost
from archwright.evaluators.hardware.cycles import DATAFLOWS, gemm_cycles
from archwright.evaluators.hardware.evaluator import AnalyticalEvaluator
from archwright.evaluators.hardware.scalesim_export import export_scalesim
from archwright.evaluators.hardware.space import (
    dump_hardware,
    hardware_space,
    load_hardware,
    space_of,
)
from archwright.evaluators.hardware.totals import OUTPUTS, TOTALS
from archwright.evaluators.hardware.zigzag_export import export_zigzag, zigzag_workload
from archwright.workload import Workload

__all__ = [
    "DATAFLOWS",
    "OUTPUTS",
    "TOTALS",
    "AnalyticalEvaluator",
    "AnalyticalModel",
    "LayerCost",
    "Workload",
    "dump_hardware",
    "export_scalesim",
    "export_zigzag",
    "gemm_cycles",
    "hardware_space",
    "load_hardware",
    "space_of",
    "zigzag_workload",
]
