"""Stall-free cycles: equal to SCALE-Sim on every row of the table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from archwright.errors import UserError
from archwright.evaluators.hardware import gemm_cycles
from archwright.evaluators.hardware.cycles import ceil_div

TABLE = Path(__file__).parents[2] / "data" / "systolic_cycles.csv"


def test_equal_to_scalesim_on_all_rows() -> None:
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 450
    # The table's M, N, K are output pixels, filters and window: our m, n, k.
    m, n, k, height, width, expected = (
        np.array([int(row[name]) for row in rows])
        for name in ("M", "N", "K", "rows", "cols", "cycles")
    )
    dataflow = np.array([row["dataflow"] for row in rows])
    assert set(dataflow) == {"os", "ws", "is"}
    cycles = gemm_cycles(m, n, k, height, width, dataflow)
    assert cycles.dtype == np.int64
    np.testing.assert_array_equal(cycles, expected)


def test_broadcasts_and_takes_one_dataflow() -> None:
    m = np.arange(1, 6)[:, None]
    rows = np.array([4, 8, 16])
    cycles = gemm_cycles(m, 7, 9, rows, 4, "ws")
    assert cycles.shape == (5, 3)
    for i in range(5):
        for j in range(3):
            assert cycles[i, j] == gemm_cycles(i + 1, 7, 9, rows[j], 4, "ws")
    many = gemm_cycles(3, 7, 9, 4, 4, np.array([["os"], ["is"]]))
    assert many.tolist() == [
        [gemm_cycles(3, 7, 9, 4, 4, "os")],
        [gemm_cycles(3, 7, 9, 4, 4, "is")],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1, 4, 4, "os"), "m = 0"),
        ((1, -3, 1, 4, 4, "os"), "n = -3"),
        ((1, 1, 2.5, 4, 4, "os"), "k = 2.5"),
        ((1, 1, 1, [4, 0], 4, "os"), "rows = 0"),
        ((1, 1, 1, 4, 2**31, "os"), "cols = 2147483648"),
        ((1, 1, float("nan"), 4, 4, "os"), "k = nan"),
        ((1, 1, "9", 4, 4, "os"), "k = '9'"),
        ((1, 1, 1, 4, 4, "rs"), "dataflow = 'rs': allowed os, ws, is"),
    ],
)
def test_wrong_sizes_are_one_line(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(UserError) as caught:
        gemm_cycles(*arguments)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rounding_up_is_exact_for_whole_floats() -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(1, 2**53, 10_000)
    by = rng.integers(1, 2 ** rng.integers(1, 53, 10_000))
    near = np.minimum(whole // by * by + rng.integers(-1, 2, 10_000), 2**53 - 1)
    for size in (whole, np.maximum(near, 1)):
        expected = -(-size // by)
        np.testing.assert_array_equal(ceil_div(size.astype(float), by.astype(float)), expected)
