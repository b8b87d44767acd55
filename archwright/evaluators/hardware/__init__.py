"""Hardware: what a network costs on an accelerator. NumPy only.

Where things are:

- ``space``: the hardware space, and hardware as TOML files
- ``cycles``: stall-free cycles of a matrix product on a systolic array
- ``costs``: the constants of 45 nm silicon, each with its source
- ``columns``: hardware points as checked arrays, their areas and voltages
- ``demand``: what layers ask: cycles, DRAM bytes, buffer bytes
- ``totals``: from those to time, energy and metrics
- ``blocks``: networks x hardware, cut into blocks of bounded memory
- ``analytical``: the model that ties these together; the entry point
- ``evaluator``: the model as an instrument for designs
- ``scalesim_export``: the same workload as input files for SCALE-Sim
"""

from archwright.evaluators.hardware.analytical import TOTALS, AnalyticalModel, LayerCost
from archwright.evaluators.hardware.cycles import DATAFLOWS, gemm_cycles
from archwright.evaluators.hardware.evaluator import AnalyticalEvaluator
from archwright.evaluators.hardware.scalesim_export import export_scalesim
from archwright.evaluators.hardware.space import dump_hardware, hardware_space, load_hardware
from archwright.workload import Workload

__all__ = [
    "DATAFLOWS",
    "TOTALS",
    "AnalyticalEvaluator",
    "AnalyticalModel",
    "LayerCost",
    "Workload",
    "dump_hardware",
    "export_scalesim",
    "gemm_cycles",
    "hardware_space",
    "load_hardware",
]
