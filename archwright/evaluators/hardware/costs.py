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
- Eyeriss: Chen et al., "Eyeriss: A Spatial Architecture for Energy-Efficient Dataflow for
  Convolutional Neural Networks", ISCA 2016.
- Stillmaker and Baas: "Scaling equations for the accurate prediction of CMOS device
  performance from 180 nm to 7 nm", Integration 58, 2017.
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
# is estimated as the geometric mean of 8 and 32 bit, sqrt(0.2 x 3.1) = 0.787, and the
# 4-bit one by the same ratio for half the bits, 0.2 / sqrt(3.1 / 0.2) = 0.0508.
MAC_PJ = {4: 0.0508 + 0.1, 8: 0.2 + 0.1, 16: 0.787 + 0.1}

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

# A byte from one processing element to another, pJ: Eyeriss, twice the energy of
# a 16-bit multiply-accumulate for a 16-bit word; estimated with this model's MAC.
ARRAY_PJ_PER_BYTE = 2 * MAC_PJ[16] / 2

# Standby power of DRAM and interface for each GB/s that they are built for, mW.
# Estimated: 5% of what Horowitz's DRAM takes at full rate (160 pJ/byte = 160 mW per GB/s).
INTERFACE_MW_PER_GB_PER_S = 8.0

# Area of the array's multipliers and of a 32-bit adder, um2. Horowitz (reprinted by Sze):
# 8-bit multiply 282, 32-bit multiply 3495, 32-bit add 137; 16-bit estimated as the
# geometric mean of 8 and 32 bit, 4-bit by the same ratio, 282 / sqrt(3495 / 282) = 80.1.
MULTIPLIER_UM2 = {4: 80.1, 8: 282.0, 16: 993.0}
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

# Area and energy at other nodes, as multiples of those at 45 nm: Stillmaker and Baas. Area:
# their table of factors, row 45 nm. Energy: the ratio of their fits of energy over voltage,
# at 0.9 V. Interface and DRAM are not scaled; leakage per area and the voltage that a clock
# needs are taken as at 45 nm (estimated).
AREA_OF_NODE = {
    **{130: 6.4, 90: 2.8, 65: 1.5, 45: 1.0, 32: 0.46},
    **{20: 0.21, 16: 0.19, 14: 0.17, 10: 0.1, 7: 0.059},
}
ENERGY_OF_NODE = {
    **{130: 3.168, 90: 1.950, 65: 1.253, 45: 1.0, 32: 0.641},
    **{20: 0.238, 16: 0.187, 14: 0.150, 10: 0.127, 7: 0.102},
}

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

EYERISS_REGISTER_WORDS = 12 + 224 + 24
"""Register file of an Eyeriss element, in words: inputs, weights, partial sums (Chen et al.,
"Eyeriss: An Energy-Efficient Reconfigurable Accelerator", JSSC 52(1), 2017)."""

ACCUMULATOR_BYTES = 4
"""Partial sums have 32 bits."""


def _relative_clock(voltage: Floats) -> Floats:
    speed: Floats = (voltage - THRESHOLD_VOLTAGE) ** ALPHA / voltage
    return speed


_CLOCK_MHZ_PER_SPEED = CLOCK_MHZ_AT_NOMINAL / _relative_clock(np.array(NOMINAL_VOLTAGE))


def check_clock(clock_mhz: Floats) -> None:
    """Raise :class:`SpaceError` for clocks above what ``LARGEST_VOLTAGE`` reaches."""
    fastest = float(_CLOCK_MHZ_PER_SPEED * _relative_clock(np.array(LARGEST_VOLTAGE)))
    largest = clock_mhz.max(initial=0.0)
    if largest > fastest:
        raise SpaceError(f"clock_mhz = {largest:g}: must be at most {fastest:.0f} at 45 nm")


def voltage(clock_mhz: Floats) -> Floats:
    """The supply, V, that a clock needs (alpha-power law, solved by bisection)."""
    clocks, inverse = np.unique(clock_mhz, return_inverse=True)
    low = np.full(clocks.shape, THRESHOLD_VOLTAGE)
    high = np.full(clocks.shape, LARGEST_VOLTAGE)
    for _ in range(60):  # halves the bracket to below a float's resolution
        middle = (low + high) / 2
        too_slow = _CLOCK_MHZ_PER_SPEED * _relative_clock(middle) < clocks
        low, high = np.where(too_slow, middle, low), np.where(too_slow, high, middle)
    solved: Floats = high[inverse]
    return solved


def by_key(table: dict[int, float], keys: Floats) -> Floats:
    """The entry of ``table`` for each of ``keys``, which must all be in it."""
    known = sorted(table)
    return np.array([table[key] for key in known])[np.searchsorted(known, keys)]


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


def element_mm2(bits: Floats, register_file_bytes: Floats) -> Floats:
    """Area of a processing element: multiplier, accumulator, registers, register file.

    The register file is made of flip-flops or of SRAM, whichever is smaller.
    """
    logic = by_key(MULTIPLIER_UM2, bits) + ADDER_UM2 + REGISTER_BIT_UM2 * register_bits(bits)
    flip_flops = REGISTER_BIT_UM2 * 8 * register_file_bytes
    sram = SRAM_MACRO_UM2 + SRAM_UM2_PER_BIT * 8 * register_file_bytes
    area: Floats = (logic + np.minimum(flip_flops, sram)) / 1e6
    return area


def vector_unit_mm2(columns: Floats) -> Floats:
    """Area of the vector unit: an adder and a 32-bit register for each column."""
    return columns * (ADDER_UM2 + REGISTER_BIT_UM2 * 8 * ACCUMULATOR_BYTES) / 1e6


def leakage_mw(core_mm2: Floats, supply: Floats) -> Floats:
    """Leakage of ``core_mm2`` of array and buffers at ``supply`` V."""
    return LEAKAGE_MW_PER_MM2 * core_mm2 * supply / LEAKAGE_VOLTAGE
