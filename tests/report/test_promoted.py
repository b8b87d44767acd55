"""The promoted designs in every report: both numbers of each, and which was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archwright.agents.problem import Problem
from archwright.brief import Constraint
from archwright.conclusion import choose, choose_promoted
from archwright.measurement import Fidelity
from archwright.report.html import render_html
from archwright.report.markdown import render_markdown
from archwright.report.promoted import promoted_table
from archwright.result import JudgedDesign, PromotedDesign, Promotion, RunResult
from archwright.summary import print_summary, result_table


def _raised(judged: JudgedDesign, accuracy: float, slower: float | None, reached: bool) -> Any:
    found = judged.accuracy_validation
    trained = replace(found, value=accuracy, low=accuracy, high=accuracy, evaluator="training")
    trained = replace(trained, fidelity=Fidelity.TRAINED)
    simulated = {}
    if slower is not None:
        for metric in ("latency_ms", "energy_uj"):
            exact = judged.costs[metric]
            simulated[metric] = replace(
                exact, value=slower * exact.value, fidelity=Fidelity.SIMULATOR, evaluator="zigzag"
            )
    epochs = (4, 8) if reached else (4,)
    return PromotedDesign(judged.design, epochs, trained, trained, simulated, reached)


@pytest.fixture
def promoted(result: RunResult) -> RunResult:
    """Three designs, two of which came to the end; the first of these is chosen."""
    first, second, third = result.front[0], result.front[5], result.front[9]
    promotion = Promotion(
        (
            _raised(first, 0.981, 1.5, True),
            _raised(second, 0.75, None, False),
            _raised(third, 0.972, 0.5, True),
        )
    )
    return replace(result, best=first, promotion=promotion)


def test_each_row_has_what_was_inherited_and_what_was_paid_for(promoted: RunResult) -> None:
    table = promoted_table(promoted)
    assert table is not None
    first, second, third = table.rows
    judged = promoted.front[0]
    latency = table.heading.index("latency: analytical")
    assert first[0] == f"{judged.design.key[:8]} (chosen)"
    assert first[1:3] == ("yes", "12")
    assert first[4] == first[6] == "98.1%"
    assert first[latency] != first[latency + 1]
    assert second[1:3] == ("no", "4")
    assert second[latency + 1] == "–"
    assert second[latency] != "–"
    assert "(chosen)" not in third[0]
    assert {len(row) for row in table.rows} == {len(table.heading)}


def test_an_early_end_is_said(promoted: RunResult) -> None:
    assert promoted.promotion is not None
    early = replace(promoted.promotion, stopped="the budget of hours is spent")
    table = promoted_table(replace(promoted, promotion=early))
    assert table is not None
    assert table.meaning.endswith("It ended early: the budget of hours is spent.")


def test_without_promotion_there_is_no_table(result: RunResult) -> None:
    assert promoted_table(result) is None
    assert "Promoted" not in render_markdown(result)
    assert 'id="promoted"' not in render_html(result)
    assert result_table(result, Path("run"))["promoted"] == []


def test_every_report_shows_it(promoted: RunResult) -> None:
    table = promoted_table(promoted)
    assert table is not None
    markdown, html = render_markdown(promoted), render_html(promoted)
    for cell in table.rows[2]:
        assert cell in html
        assert cell in markdown
    file = StringIO()
    print_summary(promoted, Path("run"), Console(file=file, width=80))
    assert "promoted designs" in file.getvalue()
    assert max(len(line) for line in file.getvalue().splitlines()[:-3]) <= 80
    shown = result_table(promoted, Path("run"))["promoted"]
    assert [p["reached"] for p in shown] == [True, False, True]
    assert shown[0]["metrics"]["latency_ms"]["fidelity"] == "simulator"
    assert shown[0]["metrics"]["accuracy_validation"]["fidelity"] == "trained"


@pytest.fixture
def problem_of(promoted: RunResult) -> Callable[..., Problem]:
    def build(**bounds: Constraint) -> Problem:
        # The choice looks at the score and the bounds alone.
        nothing: Any = None
        return Problem(nothing, nothing, promoted.score, nothing, bounds)

    return build


def test_the_chosen_one_is_of_those_that_came_furthest(
    promoted: RunResult, problem_of: Callable[..., Problem]
) -> None:
    best, why = choose_promoted(promoted.front, promoted.promotion, problem_of())
    assert promoted.promotion is not None
    reached = {p.design.key: p for p in promoted.promotion.designs if p.reached}
    assert best is not None
    assert best.design.key in reached
    assert best.accuracy_validation.value == reached[best.design.key].trained.value
    assert best.accuracy_test.metric == "accuracy_test"
    assert best.costs["latency_ms"].fidelity is Fidelity.ANALYTICAL
    assert why.startswith("The best compromise of the 2 designs that were trained further and ")


def test_bounds_hold_for_the_dearest_numbers(
    promoted: RunResult, problem_of: Callable[..., Problem]
) -> None:
    assert promoted.promotion is not None
    for p in promoted.promotion.designs[::2]:
        # Just what this one has by the simulator, hence too little for the other.
        others = [q for q in promoted.promotion.designs[::2] if q is not p]
        accuracy = p.trained.value
        bound = {"at_least": accuracy} if accuracy > others[0].trained.value else {
            "at_most": accuracy
        }  # fmt: skip
        best, why = choose_promoted(
            promoted.front, promoted.promotion, problem_of(accuracy=Constraint(**bound))
        )
        assert best is not None
        assert best.design == p.design
        assert "the one design that" in why
    impossible = problem_of(accuracy=Constraint(at_least=0.999))
    best, why = choose_promoted(promoted.front, promoted.promotion, impossible)
    assert best is not None
    assert why.endswith("none of them meets every bound of the brief.")


def test_without_a_finalist_the_front_decides(
    promoted: RunResult, problem_of: Callable[..., Problem]
) -> None:
    assert promoted.promotion is not None
    none = Promotion(tuple(replace(p, reached=False) for p in promoted.promotion.designs))
    expected = choose(promoted.front, promoted.score)
    for promotion in (None, none):
        assert choose_promoted(promoted.front, promotion, problem_of()) == expected
