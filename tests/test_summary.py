"""A result on the terminal and as JSON, on results with real costs."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archwright.measurement import COSTS, METRICS
from archwright.result import ModelUse, RunResult
from archwright.summary import SHOWN_DESIGNS, print_summary, result_table

FOLDER = Path("runs") / "digits"


@pytest.fixture(scope="module")
def make_result() -> Callable[..., RunResult]:
    """The builder of the report's tests, found by path: tests are not a package."""
    path = Path(__file__).parent / "report" / "conftest.py"
    spec = importlib.util.spec_from_file_location("archwright_tests_results", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._result


@pytest.fixture(scope="module")
def result(make_result: Callable[..., RunResult]) -> RunResult:
    return make_result(designs=1200)


def printed(result: RunResult, folder: Path = FOLDER) -> list[str]:
    file = io.StringIO()
    print_summary(result, folder, Console(file=file, width=80))
    return file.getvalue().splitlines()


def strict(table: dict[str, Any]) -> dict[str, Any]:
    """Through JSON as the standard has it: no NaN, no infinity."""
    return json.loads(json.dumps(table, allow_nan=False))


def test_the_table_is_plain_json_with_every_number_traced(result: RunResult) -> None:
    table = result_table(result, FOLDER)
    assert strict(table) == table
    for key in ("run", "seconds", "evaluations", "rejected", "hypervolume", "front", "best"):
        assert key in table
    assert table["model"] == {
        "requests": 14,
        "failures": 2,
        "tokens": 18_250,
        "dollars": None,
        "by_role": [asdict(use) for use in result.model_use.by_role],
        "unpriced": ["qwen3-8b"],
        "tokens_per_evaluated_design": 182.5,
    }
    assert len(table["front"]) == len(result.front) > 10
    for design, judged in zip(table["front"], result.front, strict=True):
        assert design["key"] == judged.design.key
        assert design["network"] == judged.design.network
        assert design["hardware"] == judged.design.hardware
        assert set(design["metrics"]) == {"accuracy_validation", "accuracy_test", *COSTS}
        for name, metric in design["metrics"].items():
            assert (
                metric["unit"]
                == METRICS[name.removesuffix("_validation").removesuffix("_test")].unit
            )
            assert metric["low"] <= metric["value"] <= metric["high"]
            assert metric["fidelity"] in ("supernet", "analytical")
        assert design["metrics"]["latency_ms"]["value"] == judged.value("latency_ms")
        assert design["metrics"]["accuracy_validation"]["value"] == judged.value("accuracy")
    assert table["best"] in table["front"]


def test_what_a_result_lacks_is_null(result: RunResult) -> None:
    bare = replace(result, front=(), best=None, baseline=None, nearest=result.best)
    table = strict(result_table(bare, FOLDER))
    assert (table["front"], table["best"], table["random_hypervolume"]) == ([], None, None)
    assert table["nearest"] == result_table(result, FOLDER)["best"]
    assert result_table(result, FOLDER)["nearest"] is None
    untested = replace(result.front[0], accuracy_test=None)
    table = result_table(replace(result, front=(untested,), best=untested), FOLDER)
    assert "accuracy_test" not in table["best"]["metrics"]


def test_the_summary_fits_80_columns_and_says_the_score(result: RunResult) -> None:
    lines = printed(result)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 80
    assert f"hypervolume {result.hypervolume:.4f} (random search: " in text
    assert "112 of 512 proposals rejected" in text
    assert f"{len(result.front)} designs in all: front.csv" in text
    assert sum(line.split()[:1] == ["best"] for line in lines if "0." in line) == 1


def test_what_models_took_is_one_line(result: RunResult) -> None:
    def line(use: ModelUse, evaluations: int = 100) -> str:
        text = " ".join(printed(replace(result, model_use=use, evaluations=evaluations)))
        return " ".join(text[text.index("model") :].split()).split(" front ")[0]

    known = replace(result.model_use, dollars=0.0321, unpriced=())
    assert line(result.model_use).startswith(
        "models: 14 requests, 18,250 tokens, 182 per evaluated design; cost unknown: "
        "no price for qwen3-8b"
    )
    assert "182 per evaluated design; 0.0321 dollars" in line(known)
    assert "no design evaluated; 0.0321 dollars" in line(known, 0)
    unused = line(ModelUse(0, 0, 0, 0.0))
    assert unused.startswith("model asked: 0 tokens per evaluated design")
    table = strict(result_table(replace(result, evaluations=0), FOLDER))
    assert table["model"]["tokens_per_evaluated_design"] is None


def test_where_nothing_meets_the_bounds_the_nearest_design_is_named(result: RunResult) -> None:
    near = result.front[-1]
    lines = printed(replace(result, front=(), best=None, nearest=near))
    text = " ".join(" ".join(lines).split())
    assert "no design meets every bound of the brief; the nearest (area_mm2 " in text
    assert f"accuracy {near.value('accuracy'):.4g}) is network " in text
    unknown = " ".join(printed(replace(result, front=(), best=None, nearest=None)))
    assert "no design meets every bound of the brief" in unknown
    assert "nearest" not in unknown


def test_the_best_is_always_among_the_designs_shown(result: RunResult) -> None:
    assert len(result.front) > 2 * SHOWN_DESIGNS
    for best in result.front:
        rows = [line for line in printed(replace(result, best=best)) if line.startswith("  best ")]
        assert len(rows) == 1
        assert f"{best.accuracy_validation.value:.3f}" in rows[0]
        assert f"{best.value('latency_ms'):.4g}" in rows[0]


def test_the_best_is_found_by_what_it_is(result: RunResult) -> None:
    """A result that was read again holds an equal design, not the same object."""
    again = replace(result, best=replace(result.front[3]))
    assert again.best is not again.front[3]
    assert sum(line.startswith("  best ") for line in printed(again)) == 1


def test_as_many_designs_are_shown_as_fit(result: RunResult) -> None:
    for n in (1, 2, SHOWN_DESIGNS, SHOWN_DESIGNS + 1, len(result.front)):
        few = replace(result, front=result.front[:n], best=result.front[0])
        rows = [line for line in printed(few) if re.match(r" +(best +)?[01]\.\d{3} ", line)]
        assert len(rows) == min(n, SHOWN_DESIGNS)
        assert ("in all" in "\n".join(printed(few))) == (n > SHOWN_DESIGNS)


@pytest.mark.parametrize(
    "objectives",
    [
        ("accuracy",),
        ("macs",),
        ("parameters", "memory_kib", "latency_ms", "energy_uj", "power_mw"),
        ("accuracy", "parameters", "memory_kib", "latency_ms", "energy_uj"),
    ],
)
def test_any_objectives_fit(
    objectives: tuple[str, ...], make_result: Callable[..., RunResult]
) -> None:
    lines = printed(make_result(objectives=objectives, designs=300))
    assert max(map(len, lines)) <= 80
    for metric in objectives:
        assert any(metric.split("_")[0] in line for line in lines)


def test_a_run_without_front_or_baseline_says_so(result: RunResult) -> None:
    lines = printed(replace(result, front=(), best=None, baseline=None, hypervolume=0.0))
    text = "\n".join(lines)
    assert "no design meets every bound of the brief" in text
    assert "random search" not in text
    assert "best" not in text
    assert max(map(len, lines)) <= 80


def test_files_that_are_there_are_named_in_one_piece(result: RunResult, tmp_path: Path) -> None:
    folder = tmp_path / ("a-long-folder-name-" * 5)
    (folder / "best").mkdir(parents=True)
    (folder / "report.html").touch()
    lines = printed(result, folder)
    assert f"report.html  {folder / 'report.html'}" in lines, "a path is never wrapped"
    assert f"best         {folder / 'best'}" in lines
    assert not any(line.startswith("front.csv ") for line in lines)
