"""NAS-Bench-201 as a search problem: its networks, what is known of cells, and bad tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archwright.agents.catalogue import Catalogue
from archwright.brief import Constraint
from archwright.errors import DataError
from archwright.tabular.nas201 import (
    OPERATIONS,
    CellFeatures,
    accelerator_space,
    cell_space,
    nas201,
    parse_cell,
    promise,
    workload_of,
)
from archwright.tabular.table import Table, read_table
from tests.tables import write

HARDWARE = accelerator_space().restrict(
    {"rows": [8, 16], "columns": [8], "dataflow": ["os", "ws"], "bytes_per_cycle": [4]}
)


def text(*operations: str) -> str:
    """A cell string: the operations of the edges in the benchmark's order."""
    a, b, c, d, e, f = operations
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def every(operation: str) -> str:
    """The cell with this operation on each edge."""
    return text(*[operation] * 6)


NONE, SKIP, POOL, SMALL, LARGE = OPERATIONS
CELLS = {every(o): 10.0 + 20 * k for k, o in enumerate(OPERATIONS)}
CELLS[text(SMALL, NONE, LARGE, SKIP, NONE, SMALL)] = 85.5


def table_of(path: Path, rows: dict[str, float]) -> Table:
    return read_table(write(path / "cells.csv", ("cell", "test"), rows.items()))


def test_the_networks_have_the_benchmarks_sizes():
    """The largest: 220.12 million FLOPs (multiply-accumulates) and 1.53 million parameters
    (NATS-Bench, arXiv 2009.00437), batch norms left out of both here."""
    largest = workload_of(parse_cell(every(LARGE)))
    assert largest.macs == pytest.approx(220.12e6, rel=0.005)
    assert largest.parameters == pytest.approx(1.531e6, rel=0.01)
    smallest = workload_of(parse_cell(every(NONE)))
    assert smallest.macs == pytest.approx(7.78e6, rel=0.02)


def test_equal_computations_look_alike():
    """An identity before a convolution or after it: the same path; a dead edge is on none."""
    features = CellFeatures()
    columns = np.array([group != "operations" for group in features.groups])
    before = parse_cell(text(SKIP, NONE, NONE, NONE, LARGE, NONE))
    after = parse_cell(text(LARGE, NONE, NONE, NONE, SKIP, NONE))
    dead = parse_cell(text(LARGE, NONE, NONE, NONE, SKIP, LARGE))
    other = parse_cell(text(SMALL, NONE, NONE, NONE, SKIP, NONE))
    rows = features([before, after, dead, other])[:, columns]
    assert (rows[0] == rows[1]).all()
    assert (rows[0] == rows[2]).all()
    assert (rows[0] != rows[3]).any()
    assert (features([before]) != features([after])).any()


def test_promise_orders_what_needs_no_measurement():
    cells = [every(LARGE), every(SMALL), every(POOL), every(NONE)]
    found = promise([parse_cell(cell) for cell in cells])
    assert sorted(found, reverse=True) == found.tolist()
    residual, plain = (
        text(LARGE, NONE, NONE, SKIP, LARGE, NONE),
        text(*[LARGE, *[NONE] * 3, LARGE, NONE]),
    )
    assert np.diff(promise([parse_cell(plain), parse_cell(residual)]))[0] > 0


def test_costs_and_bounds_are_those_of_all_pairs(tmp_path):
    tabular = nas201(table_of(tmp_path, CELLS), "test", HARDWARE)
    problem = tabular.problem
    assert problem.network_space.size == cell_space().size
    assert len(tabular.networks) == len(CELLS)
    accuracy, latency, area = problem.score.bounds
    assert (accuracy.low, accuracy.high) == pytest.approx(
        (1 - np.quantile([1 - a / 100 for a in CELLS.values()], 0.95), 0.9)
    )
    costs = problem.costing.cross(tabular.networks, problem.costing.hardware)
    for bound in (latency, area):
        values = costs[bound.metric]
        assert (bound.low, bound.high) == (values.min(), values.max())
    assert 0 < tabular.true_hypervolume < 1
    bounded = {"area_mm2": Constraint(at_most=float(np.median(costs["area_mm2"])))}
    less = nas201(table_of(tmp_path, CELLS), "test", HARDWARE, bounded)
    assert 0 < less.true_hypervolume < tabular.true_hypervolume


def test_what_is_known_of_all_is_what_is_computed_of_some(tmp_path, monkeypatch):
    tabular = nas201(table_of(tmp_path, CELLS), "test", HARDWARE)
    rows = tabular.networks[[4, 1]]
    whole = Catalogue(tabular.problem)
    assert whole.enumerable
    known = whole.coverage(rows), whole.features(rows), whole.promise(rows)
    assert known[0].any()
    assert whole.without([]).sum() == len(whole.networks)
    monkeypatch.setattr("archwright.agents.catalogue.ENUMERABLE", 0)
    some = Catalogue(tabular.problem)
    assert not some.enumerable
    asked = some.coverage(rows), some.features(rows), some.promise(rows)
    assert all((one == other).all() for one, other in zip(known, asked, strict=True))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({every(LARGE): 120.0}, "row 2, column test = 120: an accuracy in percent is needed"),
        ({"|conv~0|": 50.0}, "row 2, column cell = '|conv~0|': no NAS-Bench-201 cell"),
        ({every(LARGE).replace("nor_conv_3x3~2", "magic~2"): 50.0}, "no NAS-Bench-201 cell"),
    ],
)
def test_a_bad_row_is_one_line(tmp_path, rows, message):
    with pytest.raises(DataError) as error:
        nas201(
            table_of(tmp_path, {every(SMALL): 50.0} | rows if "row 3" in message else rows), "test"
        )
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cell_may_stand_once(tmp_path):
    path = write(tmp_path / "twice.csv", ("cell", "test"), [(every(SMALL), 1), (every(SMALL), 2)])
    with pytest.raises(DataError, match="rows 2 and 3 have the same cell"):
        nas201(read_table(path), "test")
