import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from archwright.measurement import COSTS
from archwright.report.table import write_front_csv
from archwright.result import RunResult


def _rows(result: RunResult, path: Path) -> list[dict[str, str]]:
    write_front_csv(result, path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_number_comes_back_exactly(result: RunResult, tmp_path: Path) -> None:
    rows = _rows(result, tmp_path / "front.csv")
    assert len(rows) == len(result.front)
    for row, judged in zip(rows, result.front, strict=True):
        assert row["design"] == judged.design.key
        assert float(row["accuracy_validation"]) == judged.accuracy_validation.value
        assert float(row["accuracy_validation_low"]) == judged.accuracy_validation.low
        assert "optimistic" in row["accuracy_validation_meaning"]
        assert bool(row["accuracy_test_meaning"]) == (judged.accuracy_test is not None)
        assert judged.accuracy_test is not None
        assert float(row["accuracy_test"]) == judged.accuracy_test.value
        assert float(row["accuracy_test_high"]) == judged.accuracy_test.high
        for metric in COSTS:
            assert float(row[metric]) == judged.costs[metric].value
        for name, value in judged.design.network.items():
            assert row[f"network.{name}"] == str(value)
        for name, value in judged.design.hardware.items():
            assert row[f"hardware.{name}"] == str(value)
        assert int(row["step"]) == judged.step
    chosen = [row["design"] for row in rows if row["chosen"] == "yes"]
    assert result.best is not None
    assert chosen == [result.best.design.key]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0="])
def test_texts_are_no_formulas(
    start: str, make_result: Callable[..., RunResult], tmp_path: Path
) -> None:
    attack = f'{start}HYPERLINK("http://evil.example","click"),"2"\n=1+1'
    rows = _rows(make_result(designs=40, proposer=attack, reason=attack), tmp_path / "f.csv")
    for row in rows:
        assert row["reason"] == row["proposer"] == "'" + attack.replace("\0", "")


def test_negative_numbers_stay_numbers(result: RunResult, tmp_path: Path) -> None:
    first = result.front[0]
    cost = replace(first.costs["energy_uj"], value=-1.5)
    judged = replace(first, costs={**first.costs, "energy_uj": cost})
    [row] = _rows(replace(result, front=(judged,)), tmp_path / "front.csv")
    assert row["energy_uj"] == "-1.5"


def test_what_is_not_measured_is_empty(
    result: RunResult, nothing_feasible: RunResult, tmp_path: Path
) -> None:
    untested = replace(result, front=(replace(result.front[0], accuracy_test=None),))
    [row] = _rows(untested, tmp_path / "front.csv")
    assert row["accuracy_test"] == row["accuracy_test_low"] == row["accuracy_test_high"] == ""
    assert _rows(nothing_feasible, tmp_path / "empty.csv") == []
    assert (tmp_path / "empty.csv").read_text().startswith("design,chosen,accuracy_validation,")
