"""Tables from CSV files: what is read, and what each broken one is told."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from archwright.errors import DataError, UntrustedFileError
from archwright.tabular import table as module
from archwright.tabular.table import read_table
from archwright.untrusted import read_text


def test_a_packed_table_reads_as_the_plain_one(tmp_path):
    text = '\ufeffname,"a, quoted",x\r\none, two ,0.5\r\n\r\n"th""ree",four,-1e3\r\n'
    plain, packed = tmp_path / "plain.csv", tmp_path / "packed"
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed):
        found = read_table(path)
        assert found.columns["name"] == ("one", 'th"ree')
        assert found.words("a, quoted") == ("two", "four")
        assert found.numbers("x").tolist() == [0.5, -1000.0]
        assert found.row_numbers == (2, 4)
        assert len(found) == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no header"),
        (b"a,b\n", "no rows below the header"),
        (b"a,b\n1,2\n3\n", "row 3 has 1 cells, the header has 2"),
        (b"a,b,a\n1,2,3\n", "two columns are called 'a'"),
        (b'a,b\n1,"2\n', "not CSV: line 2"),
        (b"a,b\n1,\xff\n", "not UTF-8 text"),
        (b"\x1f\x8bno gzip at all", "cannot be read"),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], "cannot be read"),
    ],
)
def test_broken_files_are_one_line(tmp_path, content, complaint):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint) as raised:
        read_table(path)
    assert "\n" not in str(raised.value)


def test_sizes_are_bounded(tmp_path, monkeypatch):
    bomb = tmp_path / "bomb.csv.gz"
    bomb.write_bytes(gzip.compress(b"a\n" + b"1\n" * 100_000))
    with pytest.raises(UntrustedFileError, match="more than 1000 bytes of text; allowed 1000"):
        read_text(bomb, 1000)
    monkeypatch.setattr(module, "MOST_ROWS", 99_999)
    with pytest.raises(UntrustedFileError, match="too many rows; allowed 99999 rows"):
        read_table(bomb)
    monkeypatch.setattr(module, "MOST_ROWS", 10**6)
    monkeypatch.setattr(module, "MOST_CELLS", 99_999)
    with pytest.raises(UntrustedFileError, match="99999 cells"):
        read_table(bomb)
    for missing in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            read_table(missing)


@pytest.mark.parametrize("cell", ["high", "inf", "1_000", "1e999", "0x10", ""])
def test_what_is_no_number_is_named(make_table, cell):
    found = make_table("name,x", "a,1", f"b,{cell}", "c,2")
    with pytest.raises(DataError, match=f"some.csv: row 3, column 'x' = '{cell}': allowed a fin"):
        found.numbers("x")
    assert not found.is_numeric("x")


def test_unknown_columns_are_told_which_there_are(make_table):
    with pytest.raises(DataError, match=r"'y': not a column of some.csv; its columns are name, x"):
        make_table("name,x", "a,1").words("y")


def test_missing_cells_are_refused_or_left_out(make_table):
    found = make_table("name,x,y", "a,1,2", ",3,4", "c,NaN,5", "d,6,", "e,7,8")
    with pytest.raises(DataError, match="row 3, column 'name' = '': a value is missing; --skip"):
        found.check_complete(["x", "name"])
    kept = found.without_missing(["x", "name"])
    assert kept.words("name") == ("a", "d", "e")
    assert kept.row_numbers == (2, 5, 6)
    kept.check_complete(["x", "name"])
    assert np.array_equal(kept.numbers("x"), [1, 6, 7])
    with pytest.raises(DataError, match="no row has a value in each of x"):
        make_table("name,x", "a,", "b,nan").without_missing(["x"])
