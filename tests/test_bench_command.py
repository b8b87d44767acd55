"""archwright bench search: what it prints and writes, and what a mistake is told."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest
import tables
from commands import Run, one_line

HEADER = ("n", "word", "loss", "ms")
GENERIC = ("--problem", "generic", "--choices", "n,word", "--minimize", "loss,ms")
FEW = ("--evaluations", 8, "--seeds", 3, "--batch", 3)


def rows() -> list[tuple[object, ...]]:
    return [
        (n, word, (n - 4) ** 2 + len(word), 1000 / (n + 1) + 9 * len(word))
        for n in range(8)
        for word in ("a", "bb", "ccc")
    ]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tables.write(tmp_path / "table.csv", HEADER, rows())


@pytest.fixture
def nas201(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """The options of the tabular problem with hardware, on the tiny table in its place.

    The whole of NAS-Bench-201 takes half a minute to enumerate.
    """
    module = types.ModuleType("archwright.tabular.nas201")
    module.nas201 = tables.tiny  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "archwright.tabular.nas201", module)
    path = tables.write_tiny(tmp_path / "tiny.csv")
    return ("bench", "search", "--table", path, "--accuracy", "short")


def test_one_json_object_is_the_last_line(archwright_: Run, table: Path) -> None:
    arguments = ("bench", "search", "--table", table, *GENERIC, *FEW, "--strategies", "random")
    status, out, err = archwright_(*arguments, "--json")
    assert status == 0, err
    assert len(out.splitlines()) == 1
    found = json.loads(out)
    assert found.keys() == {"true_hypervolume", "strategies"}
    assert 0 < found["true_hypervolume"] < 1
    assert found["strategies"].keys() == {"random"}
    row = found["strategies"]["random"]
    assert row.keys() == {"evaluations", "ratio_median", "ratio_worst", "seconds_per_design"}
    assert row["evaluations"] == list(range(1, 9))
    for curve in (row["ratio_median"], row["ratio_worst"]):
        assert len(curve) == 8
        assert curve == sorted(curve)
        assert curve[-1] <= 1.0
    assert row["seconds_per_design"] > 0
    assert "24 of 24 evaluations" in err
    assert (
        json.loads(archwright_(*arguments, "--json")[1])["strategies"]["random"]["ratio_median"]
        == (row["ratio_median"])
    )


def test_a_table_in_80_columns_and_a_plot(archwright_: Run, nas201, tmp_path: Path) -> None:
    names = "random,random+costing"
    for suffix in ("html", "svg"):
        plot = tmp_path / f"curves.{suffix}"
        options = ("--strategies", names, "--report", "long", "--plot", plot)
        status, out, err = archwright_(*nas201, *FEW, *options)
        assert status == 0, err
        assert all(len(line) <= 80 for line in out.splitlines())
        words = re.sub(r"\s+", " ", out)
        assert "strategy after 2 after 4 after 8 s/design" in words
        share = r"\d\.\d{3} \(\d\.\d{3}\)"
        assert re.search(rf"random\+costing( {share}){{3}} \S+ ", words)
        assert "median (worst) of 3 seeds" in words
        assert "strategy on long" in words
        assert "the last fronts on long: shares of its true hypervolume 0." in words
        page = plot.read_text(encoding="utf-8")
        assert "random+costing" in page
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page)
        if suffix == "html":
            assert "Plotly.newPlot" in page
        else:
            assert page.count("<polyline") == 4


def test_free_costing_beats_the_black_box(archwright_: Run, nas201) -> None:
    options = ("--strategies", "random,random+costing", "--report", "long", "--json")
    found = json.loads(archwright_(*nas201, *FEW, *options)[1])
    assert found["report"]["column"] == "long"
    costed, black_box = (found["strategies"][f"random{c}"] for c in ("+costing", ""))
    assert costed["ratio_median"][-1] > black_box["ratio_median"][-1]
    for row in (costed, black_box):
        assert 0 < row["report_ratio_worst"] <= row["report_ratio_median"] <= 1


def test_rows_with_missing_cells_are_left_out_on_request(archwright_: Run, tmp_path: Path) -> None:
    table = tables.write(tmp_path / "holes.csv", HEADER, [*rows(), (9, "a", "", 3), (9, "", 1, 3)])
    arguments = ("bench", "search", "--table", table, *GENERIC, *FEW, "--strategies", "random")
    status, out, err = archwright_(*arguments)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(
        "archwright: holes.csv: row 26, column 'loss' = '': a value is missing; --skip-missing"
    )
    status, _, err = archwright_(*arguments, "--skip-missing", "--json")
    assert status == 0, err
    assert "left out 2 of 26 rows: a value is missing" in err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--problem", "nas"), "--problem = 'nas': allowed nas201, generic"),
        (("--strategies", "magic"), "--strategies: 'magic': allowed random, "),
        ((*GENERIC, "--strategies", "random+costing"), "no free costs; say random"),
        ((), "--accuracy COLUMN is needed with --problem nas201"),
        (("--accuracy", "a", "--choices", "b"), "--choices: not an option of --problem nas201"),
        (("--accuracy", "a", "--duplicates", "mean"), "--duplicates: not an option"),
        ((*GENERIC, "--report", "x"), "--report: not an option of --problem generic"),
        ((*GENERIC, "--plot", "curves.png"), "--plot = 'curves.png': allowed names in .html and"),
        ((*GENERIC, "--plot", "no/curves.svg"), "no folder"),
    ],
)
def test_mistakes_are_one_line_before_any_work(archwright_: Run, table, options, complaint) -> None:
    status, out, err = archwright_("bench", "search", "--table", table, *options)
    assert (status, out) == (2, "")
    assert complaint in one_line(err)
