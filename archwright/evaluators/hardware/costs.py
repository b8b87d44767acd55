"""What silicon costs: energy, area, leakage and voltage at 45 nm.

Every constant stands here with its source. "Estimated" marks what no source gives
directly, and says from what it is derived. Energies are at ``NOMINAL_VOLTAGE`` and
scale with the square of the voltage; those of DRAM and its interface do not, because
they have their own supply.

Sources:

- Horowitz: M. Horowitz, "Computing's Energy Problem", ISSCC 2014, 45 nm, 0.9 V; areas
  of the same units as reprinted in Sze et al., "Efficient Processing of Deep Neural
  Networks", Proc. IEEE 105(12), 2017.
- Nangate: NangateOpenCellLibrary, 45 nm, typical corner, 1.1 V, 25 C.
- CACTI: linear fit to CACTI at 45 nm, D. Greaves, University of Cambridge, lecture
  notes "System on Chip".
- Sakurai and Newton: "Alpha-Power Law MOSFET Model", IEEE JSSC 25(2), 1990.
- TPU: Jouppi et al., "In-Datacenter Performance Analysis of a Tensor Processing Unit",
  ISCA 2017.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archwright.errors import SpaceError

Floats = npt.NDArray[np.float64]

NODE_NM = 45
NOMINAL_VOLTAGE = 0.9  # V; Horowitz's table

# Energy of one multiply-accumulate, pJ, by operand bits. Horowitz: 8-bit multiply 0.2,
# 32-bit multiply 3.1, 32-bit add 0.1 (the accumulator has 32 bits). The 16-bit multiply
# is estimated as the geometric mean of 8 and 32 bit, sqrt(0.2 x 3.1) = 0.787.
MAC_PJ = {8: 0.2 + 0.1, 16: 0.787 + 0.1}

# Energy of one vector operation (compare or add of 32 bits), pJ. Horowitz.
VECTOR_OPERATION_PJ = 0.1

# Energy to clock one register bit for a cycle, pJ. Estimated: clock pin of a Nangate
# DFF_X1, about 1 fF at 0.9 V, doubled for the clock tree.
REGISTER_BIT_CYCLE_PJ = 0.0016

# Reading or writing an SRAM. Horowitz: 64 bits from 8 KiB cost 10 pJ, from 32 KiB 20 pJ,
# from 1 MiB 100 pJ: the square root of the capacity (113 pJ for 1 MiB) fits all three.
BUFFER_PJ_PER_BYTE_AT_8_KIB = 10.0 / 8

# DRAM, pJ per byte: Horowitz, 640 pJ per 32 bits. The write of the fetched byte into its
# buffer (at most 5 pJ) is taken as part of it.
DRAM_PJ_PER_BYTE = 640.0 / 4

# Standby power of DRAM and interface for each GB/s that they are built for, mW.
# Estimated: 5% of what Horowitz's DRAM takes at full rate (160 pJ/byte = 160 mW per GB/s).
INTERFACE_MW_PER_GB_PER_S = 8.0

# Area of the array's multipliers and of a 32-bit adder, um2. Horowitz (reprinted by Sze):
# 8-bit multiply 282, 32-bit multiply 3495, 32-bit add 137; 16-bit estimated as the
# geometric mean of 8 and 32 bit.
MULTIPLIER_UM2 = {8: 282.0, 16: 993.0}
ADDER_UM2 = 137.0

# Area of one register bit, um2: Nangate DFF_X1.
REGISTER_BIT_UM2 = 4.522

# SRAM, um2: CACTI fit 13359 + 0.616 per bit. (A 45 nm 6T cell alone has 0.346 um2, Mistry
# et al., IEDM 2007: the fit is an array efficiency of 56%.)
SRAM_UM2_PER_BIT = 0.616
SRAM_MACRO_UM2 = 13359.0

# DRAM interface, mm2 per GB/s: TPU, two DDR3 ports take 6% of a die of at most 331 mm2
# and carry 34 GB/s. Measured at 28 nm; estimated the same here, since pads do not shrink.
INTERFACE_MM2_PER_GB_PER_S = 0.06 * 331 / 34

# Leakage, mW per mm2 of array and buffers: Nangate NAND2_X1, 17.39 nW on 0.798 um2 at
# 1.1 V; taken for all cells, and as proportional to the voltage (estimated).
LEAKAGE_MW_PER_MM2 = 17.39336e-6 / 0.798e-6
LEAKAGE_VOLTAGE = 1.1

# Sakurai and Newton: clock ~ (V - threshold)^alpha / V, alpha about 1.3 for short
# channels. Threshold and the clock reached at 0.9 V are estimated.
ALPHA = 1.3
THRESHOLD_VOLTAGE = 0.4
CLOCK_MHZ_AT_NOMINAL = 600.0
LARGEST_VOLTAGE = 1.3

ACCUMULATOR_BYTES = 4
"""Partial sums have 32 bits."""


def _relative_clock(voltage: Floats) -> Floats:
    speed: Floats = (voltage - THRESHOLD_VOLTAGE) ** ALPHA / voltage
    return speed


def voltage(clock_mhz: Floats) -> Floats:
    """The supply, V, that a clock needs (alpha-power law, solved by bisection).

    Raises :class:`SpaceError` for clocks above what ``LARGEST_VOLTAGE`` reaches.
    """
    clocks, inverse = np.unique(clock_mhz, return_inverse=True)
    unit = CLOCK_MHZ_AT_NOMINAL / _relative_clock(np.array(NOMINAL_VOLTAGE))
    fastest = float(unit * _relative_clock(np.array(LARGEST_VOLTAGE)))
    if clocks[-1] > fastest:
        raise SpaceError(f"clock_mhz = {clocks[-1]:g}: must be at most {fastest:.0f} at 45 nm")
    low = np.full(clocks.shape, THRESHOLD_VOLTAGE)
    high = np.full(clocks.shape, LARGEST_VOLTAGE)
    for _ in range(60):  # halves the bracket to below a float's resolution
        middle = (low + high) / 2
        too_slow = unit * _relative_clock(middle) < clocks
        low, high = np.where(too_slow, middle, low), np.where(too_slow, high, middle)
    solved: Floats = high[inverse]
    return solved


def by_bits(table: dict[int, float], bits: Floats) -> Floats:
    """The entry of ``table`` for each of ``bits``, which must all be in it."""
    keys = sorted(table)
    return np.array([table[key] for key in keys])[np.searchsorted(keys, bits)]


def register_bits(bits: Floats) -> Floats:
    """Registers of one processing element: two operands and a partial sum."""
    return 2 * bits + 8 * ACCUMULATOR_BYTES


def buffer_pj_per_byte(kib: Floats) -> Floats:
    """Energy of a byte read from or written to a buffer of ``kib`` KiB."""
    energy: Floats = BUFFER_PJ_PER_BYTE_AT_8_KIB * np.sqrt(kib / 8)
    return energy


def buffer_mm2(kib: Floats) -> Floats:
    """Area of a buffer of ``kib`` KiB."""
    return (SRAM_MACRO_UM2 + SRAM_UM2_PER_BIT * 8192 * kib) / 1e6


def array_mm2(rows: Floats, columns: Floats, bits: Floats) -> Floats:
    """Area of the array: multiplier, accumulator and registers of each element."""
    element = by_bits(MULTIPLIER_UM2, bits) + ADDER_UM2 + REGISTER_BIT_UM2 * register_bits(bits)
    return rows * columns * element / 1e6


def vector_unit_mm2(columns: Floats) -> Floats:
    """Area of the vector unit: an adder and a 32-bit register for each column."""
    return columns * (ADDER_UM2 + REGISTER_BIT_UM2 * 8 * ACCUMULATOR_BYTES) / 1e6


def leakage_mw(core_mm2: Floats, supply: Floats) -> Floats:
    """Leakage of ``core_mm2`` of array and buffers at ``supply`` V."""
    return LEAKAGE_MW_PER_MM2 * core_mm2 * supply / LEAKAGE_VOLTAGE
