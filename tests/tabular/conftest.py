"""The tiny tabular problem: 48 networks, 16 accelerators, two columns of accuracies."""

from __future__ import annotations

from pathlib import Path

import pytest
import tables

from archwright.tabular.bench import Arena
from archwright.tabular.problem import TabularProblem
from archwright.tabular.table import Table, read_table


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(tables.write_tiny(tmp_path_factory.mktemp("tables") / "tiny.csv"))


@pytest.fixture(scope="session")
def tiny(tiny_table: Table) -> TabularProblem:
    return tables.tiny(tiny_table, "short")


@pytest.fixture(scope="session")
def arena(tiny: TabularProblem, tiny_table: Table) -> Arena:
    return Arena(tiny, tables.tiny(tiny_table, "long"))


@pytest.fixture
def make_table(tmp_path: Path):
    """``make_table(header, rows)``: a table read from a file."""

    def make(header: str, *rows: str) -> Table:
        path = tmp_path / "some.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return read_table(path)

    return make
