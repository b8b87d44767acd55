"""Accelerators described by a hierarchy of memories, with the best order of loops found for each
layer. NumPy only.

Where things are:

- ``accelerator``: the description, and its YAML files
- ``mapping``: which loops a file wants across the array
- ``nest``: a layer as loops over three tensors
- ``spatial``: what of the mapping layer and array allow
- ``temporal``: all loop orders, and which memory keeps which loops
- ``traffic``: what moves through each memory, and its energy
- ``latency``: cycles, with the waits for memory ports
- ``model``: the entry point
- ``presets``: accelerators and mappings that come with it
"""

from archwright.evaluators.hardware.hierarchy.accelerator import Accelerator, read_accelerator
from archwright.evaluators.hardware.hierarchy.mapping import Mapping, read_mapping
from archwright.evaluators.hardware.hierarchy.model import HierarchyModel, LayerResult
from archwright.evaluators.hardware.hierarchy.presets import PRESETS, preset

__all__ = [
    "PRESETS",
    "Accelerator",
    "HierarchyModel",
    "LayerResult",
    "Mapping",
    "preset",
    "read_accelerator",
    "read_mapping",
]
