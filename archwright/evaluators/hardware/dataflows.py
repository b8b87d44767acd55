"""The dataflows: which of them asks what of an array."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.demand import Demand, on_chip, vector_cycles
from archwright.evaluators.hardware.layers import LayerRows
from archwright.evaluators.hardware.row_stationary import (
    row_stationary_cycles,
    row_stationary_demand,
    row_stationary_too_small,
)
from archwright.evaluators.hardware.systolic import (
    systolic_cycles,
    systolic_demand,
    systolic_too_small,
)

ROW_STATIONARY = "rs"


def demand(layers: LayerRows, hardware: HardwareColumns, dataflow: str) -> Demand:
    """What ``layers`` ask of ``hardware``, all of one ``dataflow``; shapes broadcast."""
    if dataflow == ROW_STATIONARY:
        return on_chip(layers, hardware, row_stationary_demand(layers, hardware))
    return on_chip(layers, hardware, systolic_demand(layers, hardware, dataflow))


def cycles(layers: LayerRows, hardware: HardwareColumns, dataflow: str) -> Floats:
    """``demand(...).cycles`` alone, which need no traffic: some ten times as fast."""
    if dataflow == ROW_STATIONARY:
        products = row_stationary_cycles(layers, hardware)
    else:
        products = systolic_cycles(layers, hardware, dataflow)
    return np.where(layers.on_array, products, vector_cycles(layers, hardware))


def too_small(hardware: HardwareColumns, bits: Floats | float) -> dict[str, npt.NDArray[np.bool_]]:
    """Which memories of which points are smaller than the least that their array needs."""
    spatial = hardware.dataflow == ROW_STATIONARY
    small = systolic_too_small(hardware, bits)
    if not spatial.any():
        return small
    return {
        name: np.where(spatial, wrong, small.get(name, False))
        for name, wrong in row_stationary_too_small(hardware, bits).items()
    }
