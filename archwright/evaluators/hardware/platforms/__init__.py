"""Rooflines: what a network costs on a bought device, from the device's datasheet.

- ``platform``: a device as a TOML of datasheet fields; presets lie beside the module
- ``roofline``: the model
- ``calibration``: efficiency, achieved bandwidth and launch overhead from measured rows
"""

from archwright.evaluators.hardware.platforms.calibration import MeasuredLatency
from archwright.evaluators.hardware.platforms.platform import PRESETS, Memory, Platform
from archwright.evaluators.hardware.platforms.roofline import (
    ROOFLINE_TOTALS,
    RooflineCost,
    RooflineModel,
)

__all__ = [
    "PRESETS",
    "ROOFLINE_TOTALS",
    "MeasuredLatency",
    "Memory",
    "Platform",
    "RooflineCost",
    "RooflineModel",
]
