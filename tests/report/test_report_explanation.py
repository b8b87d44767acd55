"""A model's words in the report: under its name, apart from what was measured, never as markup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from archwright.agents.analyst import Explanation
from archwright.report.html import render_html
from archwright.report.markdown import render_markdown
from archwright.result import RunResult

SAID = Explanation("model/scripted", ("Wide <script>stages</script> win.", "Try *fewer* rows."))


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_the_words_stand_under_their_model_s_name(
    result: RunResult, render: Callable[[RunResult], str]
) -> None:
    page = render(replace(result, explanation=SAID))
    assert "The words of model/scripted, a language model: no measurement." in page
    assert "fewer" in page
    assert "Wide <script>" not in page


def test_markdown_shows_them_as_they_are(result: RunResult) -> None:
    page = render_markdown(replace(result, explanation=SAID))
    assert "> Wide \\<script\\>stages\\</script\\> win. Try \\*fewer\\* rows." in page


@pytest.mark.parametrize("render", [render_html, render_markdown])
@pytest.mark.parametrize("said", [None, Explanation("model/scripted", ())])
def test_without_words_nothing_is_said(
    result: RunResult, render: Callable[[RunResult], str], said: Explanation | None
) -> None:
    assert "a language model: no measurement" not in render(replace(result, explanation=said))
