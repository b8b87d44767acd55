"""Stall-free cycles of one matrix product on a systolic array.

The formulas are those of SCALE-Sim 3.0.0 (Samajdar et al., ISPASS 2020), cycle for
cycle. A product is cut into folds that fill the array; each fold streams its third
dimension past, after a fill and before a drain:

=====================  ============================  ==========================
dataflow               folds (rows x columns)        cycles of a fold
=====================  ============================  ==========================
"os" outputs stay      ceil(m/rows) ceil(n/columns)  k + rows + columns - 2
"ws" weights stay      ceil(k/rows) ceil(n/columns)  m + 2 rows + columns - 2
"is" inputs stay       ceil(k/rows) ceil(m/columns)  n + 2 rows + columns - 2
=====================  ============================  ==========================

The total is folds x cycles - 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.errors import UserError

DATAFLOWS = ("os", "ws", "is")

Integers = npt.NDArray[np.int64]
LARGEST_SIZE = 2**31 - 1


def ceil_div(a: Any, b: Any) -> Any:
    """The smallest whole number not below a / b, as a float.

    Exact for whole a below 2^53 and any whole b: where a / b is no whole number, it lies
    at least 1 / b below the next one, more than rounding, at most a / b x 2^-53, can add.
    """
    return np.ceil(a / b)


class Fold(NamedTuple):
    """How a product is cut: folds along the array's rows and columns, and what one takes.

    A fold takes ``streamed`` cycles of data and ``overhead`` cycles of fill and drain.
    """

    rows: Any
    columns: Any
    streamed: Any
    overhead: Any


def fold_streams(dataflow: str, m: Any, n: Any, k: Any, rows: Any, cols: Any) -> Fold:
    """How a product is cut under one of the systolic dataflows."""
    if dataflow == "os":
        return Fold(ceil_div(m, rows), ceil_div(n, cols), k, rows + cols - 2)
    overhead = 2 * rows + cols - 2
    if dataflow == "ws":
        return Fold(ceil_div(k, rows), ceil_div(n, cols), m, overhead)
    return Fold(ceil_div(k, rows), ceil_div(m, cols), n, overhead)


def gemm_cycles(
    m: npt.ArrayLike,
    n: npt.ArrayLike,
    k: npt.ArrayLike,
    rows: npt.ArrayLike,
    cols: npt.ArrayLike,
    dataflow: str | npt.ArrayLike,
) -> Integers:
    """Cycles of products (m x k) times (k x n) on arrays of rows x cols, without stalls.

    ``m`` counts output pixels, ``n`` filters, ``k`` the window; ``dataflow`` is "os",
    "ws" or "is", or an array of them. All arguments broadcast; the result is int64.
    Raises :class:`UserError` for sizes that are no whole numbers from 1 to 2^31 - 1 and
    for unknown dataflows.
    """
    sizes = dict(zip(("m", "n", "k", "rows", "cols"), (m, n, k, rows, cols), strict=True))
    arrays = np.broadcast_arrays(*(_size(name, value) for name, value in sizes.items()))
    flows = np.asarray(dataflow)
    unknown = set(np.unique(flows).tolist()) - set(DATAFLOWS)
    if unknown:
        raise UserError(f"dataflow = {min(unknown, key=str)!r}: allowed {', '.join(DATAFLOWS)}")
    shape = np.broadcast_shapes(arrays[0].shape, flows.shape)
    flows = np.broadcast_to(flows, shape)
    cycles = np.zeros(shape, dtype=np.int64)
    for flow in DATAFLOWS:
        here = flows == flow
        fold = fold_streams(flow, *(np.broadcast_to(array, shape)[here] for array in arrays))
        folds = fold.rows.astype(np.int64) * fold.columns.astype(np.int64)
        cycles[here] = folds * (fold.streamed + fold.overhead) - 1
    return cycles


def _size(name: str, value: npt.ArrayLike) -> Integers:
    """``value`` as int64, or one line about the first wrong entry."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise UserError(f"{name} = {value!r}: whole numbers from 1 are needed")
    with np.errstate(invalid="ignore"):
        good = (array >= 1) & (array <= LARGEST_SIZE) & (array == np.floor(array))
    if not np.all(good):
        raise UserError(
            f"{name} = {array[~good].flat[0]}: must be a whole number from 1 to {LARGEST_SIZE}"
        )
    return array.astype(np.int64)
