"""Tables from CSV files, gzip-packed or not: bounded, every cell a text until it is asked for."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from archwright.errors import DataError, UntrustedFileError, shown
from archwright.front import Floats
from archwright.untrusted import read_text

LARGEST_TABLE_BYTES = 200_000_000
"""When unpacked."""
MOST_ROWS = 1_000_000
MOST_COLUMNS = 1_000
MOST_CELLS = 20_000_000
"""A cell takes about 60 bytes of memory, however short its text."""

FIRST_ROW = 2
"""Rows are counted as a spreadsheet does: the header is row 1."""


@dataclass(frozen=True)
class Table:
    """Named columns of texts, all of one length, without blanks at the ends of a cell.

    ``row_numbers`` says which rows of the file they are; the header is row 1.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    row_numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.row_numbers)

    def words(self, column: str) -> tuple[str, ...]:
        """A column's cells. Raises :class:`DataError` naming the columns that there are."""
        if column not in self.columns:
            raise DataError(
                f"{shown(column)}: not a column of {self.name}; its columns are "
                f"{_listed(list(self.columns))}"
            )
        return self.columns[column]

    def numbers(self, column: str) -> Floats:
        """A column as finite numbers, shape (rows,). Raises :class:`DataError` for the first
        cell that is none, with its row."""
        found = np.array([_number(cell) for cell in self.words(column)], dtype=np.float64)
        wrong = np.flatnonzero(~np.isfinite(found))
        if len(wrong):
            self._refuse(int(wrong[0]), column, "allowed a finite number")
        return found

    def is_numeric(self, column: str) -> bool:
        """Whether every cell of a column is a finite number."""
        return all(math.isfinite(_number(cell)) for cell in self.words(column))

    def check_complete(self, columns: Sequence[str]) -> None:
        """Raise :class:`DataError` for the first row without a value in one of ``columns``."""
        missing = self._missing(columns)
        if missing:
            row = min(missing)
            column = next(c for c in columns if is_missing(self.columns[c][row]))
            self._refuse(row, column, "a value is missing; --skip-missing leaves such rows out")

    def without_missing(self, columns: Sequence[str]) -> Table:
        """The rows that have a value in each of ``columns``."""
        missing = self._missing(columns)
        if not missing:
            return self
        kept = [row for row in range(len(self)) if row not in missing]
        if not kept:
            raise DataError(f"{self.name}: no row has a value in each of {_listed(columns)}")
        return Table(
            self.name,
            {name: tuple(cells[row] for row in kept) for name, cells in self.columns.items()},
            tuple(self.row_numbers[row] for row in kept),
        )

    def _missing(self, columns: Sequence[str]) -> Collection[int]:
        return {
            row
            for column in columns
            for row, cell in enumerate(self.words(column))
            if is_missing(cell)
        }

    def _refuse(self, row: int, column: str, why: str) -> None:
        cell = self.columns[column][row]
        raise DataError(
            f"{self.name}: row {self.row_numbers[row]}, column {shown(column)} = "
            f"{shown(cell)}: {why}"
        )


def is_missing(cell: str) -> bool:
    """Whether a cell is blank or NaN."""
    return cell == "" or cell.lower() == "nan"


def _number(cell: str) -> float:
    """A cell as a number; NaN where it is none. Python's 1_000 is no number of a table."""
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def read_table(path: Path) -> Table:
    """The table in a CSV file with a header row; commas part the cells, as in RFC 4180.

    Raises :class:`DataError` or :class:`UntrustedFileError`, one line, for a file that is
    missing, broken or too large, rows of unequal lengths and columns of one name.
    """
    text = read_text(path, LARGEST_TABLE_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    name = path.name
    cells: list[str] = []
    numbers: list[int] = []
    try:
        header = _checked_header(name, [cell.strip() for cell in next(reader, [])])
        for number, row in enumerate(reader, start=FIRST_ROW):
            if not row:  # an empty line
                continue
            if len(row) != len(header):
                raise DataError(
                    f"{name}: row {number} has {len(row)} cells, the header has {len(header)}"
                )
            if len(numbers) == MOST_ROWS or len(cells) + len(row) > MOST_CELLS:
                raise UntrustedFileError(
                    f"{name}: too many rows; allowed {MOST_ROWS} rows and {MOST_CELLS} cells"
                )
            cells.extend(cell.strip() for cell in row)
            numbers.append(number)
    except csv.Error as error:
        raise DataError(f"{name}: not CSV: line {reader.line_num}: {error}") from None
    if not numbers:
        raise DataError(f"{name}: no rows below the header")
    columns = {column: tuple(cells[c :: len(header)]) for c, column in enumerate(header)}
    return Table(name, columns, tuple(numbers))


def _checked_header(name: str, header: list[str]) -> list[str]:
    if not any(header):
        raise DataError(f"{name}: no header: its first row names the columns")
    if len(header) > MOST_COLUMNS:
        raise UntrustedFileError(f"{name}: {len(header)} columns; allowed {MOST_COLUMNS}")
    twice = [column for c, column in enumerate(header) if column in header[:c]]
    if twice:
        raise DataError(f"{name}: two columns are called {shown(twice[0])}")
    return header


def _listed(names: Sequence[str]) -> str:
    """Names as a message lists them: the first thirty."""
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return ", ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in names[:30]) + more
