import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.design import Design, Origin
from archwright.report.markdown import escaped, render_markdown, write_markdown
from archwright.report.text import clean
from archwright.result import Decision, ModelUse, Rejection, RoleUse, RunResult

markdown_it = pytest.importorskip("markdown_it", reason="markdown-it-py renders the report here")

ATTACK = (
    "| a | b\n# head <img src=x onerror=alert(1)> [x](javascript:alert(1)) ![y](http://e.example) "
    "`code` **bold** https://evil.example www.evil.example ~~gone~~ &lt; \\| $x$"
)


def _tokens(markdown: str) -> list:  # type: ignore[type-arg]
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(markdown)
    return tokens + [child for token in tokens for child in token.children or ()]


def _kinds(markdown: str) -> set[str]:
    return {token.type for token in _tokens(markdown)}


def _texts(markdown: str) -> str:
    return "\n".join(token.content for token in _tokens(markdown) if token.type == "text")


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=80))
def test_escaped_text_reads_as_it_was(untrusted: str) -> None:
    shown = clean(untrusted)
    rendered = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    cell = rendered.parse(f"| a |\n| --- |\n| x{escaped(untrusted)} |")
    inlines = [token for token in cell if token.type == "inline"]
    children = [child for inline in inlines[1:] for child in inline.children]
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"x{shown}".strip()


@pytest.mark.parametrize("start", ["# a", "- a", "+ a", "1. a", "2) a", "> a", "---", "=== a"])
def test_escaped_text_starts_no_block(start: str) -> None:
    assert _kinds(f"- {escaped(start)}") == {
        "bullet_list_open", "list_item_open", "paragraph_open", "inline", "text",
        "paragraph_close", "list_item_close", "bullet_list_close",
    }  # fmt: skip
    assert start in _texts(f"- {escaped(start)}")


def test_the_story_is_told_in_order(result: RunResult, tmp_path: Path) -> None:
    write_markdown(result, tmp_path / "report.md")
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", markdown, re.MULTILINE)
    assert headings == [
        "Chosen design", "The front", "The search", "The chosen design, layer by layer",
        "How the search went", "The brief", "Evidence", "Reproduce",
    ]  # fmt: skip
    assert result.best is not None
    assert result.baseline is not None
    assert f"{result.hypervolume:.3f}" in markdown
    assert f"{result.baseline.hypervolume:.3f}" in markdown
    for judged in result.front:
        assert judged.design.key[:8] in markdown
    assert result.best.accuracy_validation.context in markdown


def test_what_models_took_is_told_by_role(result: RunResult) -> None:
    markdown = render_markdown(result)
    assert "14 requests (2 asks failed) and 18,250 tokens, 182 per evaluated design" in markdown
    assert "cost unknown: no price for qwen3-8b." in markdown
    assert (
        "| planner | gpt-5-mini | 4 | 0 | 4 | 3,800 | 450 | 9.40 s | 0.00185 dollars |" in markdown
    )
    assert (
        "| proposer | qwen3-8b | 8 | 2 | 10 | 12,600 | 1,400 | 1 min 21 s | unknown |" in markdown
    )
    none = render_markdown(replace(result, model_use=ModelUse(0, 0, 0, 0.0)))
    assert "No language model was asked: 0 tokens for each evaluated design." in none
    assert "### Language models" not in none


def test_tables_are_rectangular_and_the_brief_is_toml(result: RunResult) -> None:
    markdown = render_markdown(result)
    for table in re.findall(r"(?:^\|.*\n?)+", markdown, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    [toml] = [t.content for t in _tokens(markdown) if t.type == "fence" and t.info == "toml"]
    assert tomllib.loads(toml) == result.brief.model_dump(mode="json", exclude_none=True)


def test_untrusted_text_stays_text(
    make_result: Callable[..., RunResult], result: RunResult
) -> None:
    hostile = make_result(proposer=ATTACK, reason=ATTACK, data=f"{ATTACK}``` end")
    example = Design(
        {"depth": ATTACK}, dict(result.front[0].design.hardware), Origin(ATTACK, ATTACK)
    )
    hostile = replace(
        hostile,
        lessons=(ATTACK,),
        model_use=ModelUse(
            1, 0, 5, None, (RoleUse(ATTACK, ATTACK, 1, 0, 1, 3, 2, 0.1, None),), (ATTACK,)
        ),
        why_best=ATTACK,
        stopped=ATTACK,
        recalled=(ATTACK,),
        decisions=(Decision(0, ATTACK, ATTACK, ATTACK, ATTACK),),
        rejections=(Rejection(ATTACK, 3, example),),
    )
    safe, attacked = render_markdown(result), render_markdown(hostile)
    assert _kinds(attacked) <= _kinds(safe) | {"text_special"}
    headings = [len([t for t in _tokens(m) if t.type == "heading_open"]) for m in (safe, attacked)]
    assert headings[0] == headings[1]
    outside_code = re.sub(r"^(`{3,}).*?^\1$", "", attacked, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"https?://|www\.", outside_code)


def test_empty_cases_say_so(result: RunResult, nothing_feasible: RunResult) -> None:
    markdown = render_markdown(nothing_feasible)
    assert "## No feasible design" in markdown
    assert "The nearest was" in markdown
    assert "71 times" in markdown
    assert "The front is empty" in markdown
    assert result.best is not None
    partial = replace(result, baseline=None, best=replace(result.best, accuracy_test=None))
    markdown = render_markdown(partial)
    assert "was omitted" in markdown
    assert "Not scored on the test split" in markdown


def test_made_up_figures_are_counted(result: RunResult) -> None:
    assert "came from no measurement" not in render_markdown(result)
    markdown = render_markdown(replace(result, flagged=2))
    assert "2 figures in their words came from no measurement" in markdown
