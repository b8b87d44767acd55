import base64
import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from archwright.design import Design, Origin
from archwright.measurement import Failure
from archwright.report import html as report_html
from archwright.report.html import render_html, write_html
from archwright.result import Decision, ModelUse, Rejection, RoleUse, RunResult

VOID = {"meta", "br", "link", "img", "input", "hr"}
ATTACKS = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)> ' onmouseover='alert(1)",
    '<a href="javascript:alert(1)">x</a> {{ 7 * 7 }} %{x}',
)
ATTACK = " ".join(ATTACKS)


class Page(HTMLParser):
    """The page's tags, attributes and texts; complains about tags left open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text_of(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]

    @property
    def words(self) -> str:
        """The text that a reader sees, with single blanks."""
        shown = [text for tag, text in self.texts if tag not in ("script", "style")]
        return " ".join(" ".join(shown).split())

    @property
    def plots(self) -> dict:  # type: ignore[type-arg]
        return next(json.loads(text) for text in self.text_of("script") if text.startswith("{"))


def _hostile(result: RunResult) -> RunResult:
    """``result`` with an attack in every text that a model, a file or a data set may bring."""
    best = result.best
    assert best is not None
    assert result.inspection is not None
    origin = Origin(ATTACK, ATTACK, (ATTACK,), (ATTACK,))
    design = Design({"depth": ATTACK}, {"rows": 4, "dataflow": ATTACK}, origin)
    attacked = replace(
        best,
        design=design,
        accuracy_validation=replace(
            best.accuracy_validation, evaluator=ATTACK, version=ATTACK, context=ATTACK
        ),
    )
    layer = replace(result.inspection.layers[0], name=ATTACK, energy_uj={ATTACK: 1.0}, bound=ATTACK)
    return replace(
        result,
        run=ATTACK,
        created=ATTACK,
        stopped=ATTACK,
        seconds_by_part={ATTACK: 1.0},
        front=(attacked, *result.front),
        best=attacked,
        why_best=ATTACK,
        inspection=replace(result.inspection, layers=(layer,), area={ATTACK: 1.0}),
        rejections=(Rejection(ATTACK, 3, design),),
        failures=(Failure(ATTACK, ATTACK, ATTACK),),
        decisions=(Decision(0, ATTACK, ATTACK, ATTACK, ATTACK),),
        lessons=(ATTACK,),
        model_use=ModelUse(
            1, 0, 5, None, (RoleUse(ATTACK, ATTACK, 1, 0, 1, 3, 2, 0.1, None),), (ATTACK,)
        ),
        recalled=(ATTACK,),
        brief=result.brief.model_copy(
            update={"task": result.brief.task.model_copy(update={"data": f"/d/{ATTACK}"})}
        ),
    )


@pytest.fixture(scope="module")
def page(result: RunResult) -> Page:
    return Page(render_html(result))


def test_the_file_loads_nothing_and_allows_its_own_scripts_only(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
    [policy] = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {
        "default-src", "script-src", "style-src", "img-src", "base-uri", "form-action",
    }  # fmt: skip
    scripts = [text for text in page.text_of("script") if not text.startswith("{")]
    digests = [hashlib.sha256(text.encode()).digest() for text in scripts]
    hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert rules["script-src"].split() == hashes
    assert len(hashes) == 2
    assert "http://" not in page.text_of("style")[0]
    assert "url(" not in page.text_of("style")[0]


def test_the_answer_comes_first_and_headings_are_in_order(page: Page, result: RunResult) -> None:
    sections = [attributes["id"] for attributes in page.all("section")]
    assert sections == [
        "chosen", "front", "search", "layers", "process", "brief", "evidence", "again",
    ]  # fmt: skip
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    anchors = {attributes["href"] for attributes in page.all("a")}
    assert anchors == {f"#{section}" for section in sections}


def test_tables_and_plots_can_be_read_without_seeing(page: Page) -> None:
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    plots = [a for a in page.all("div") if a.get("class") == "plot"]
    assert len(plots) == 6
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 20 for a in plots)
    assert page.all("html") == [{"lang": "en"}]


def test_every_design_and_metric_of_the_front_is_there(page: Page, result: RunResult) -> None:
    front = page.plots["front"]
    latency = next(axis for axis in front["axes"] if axis["name"] == "latency_ms")
    assert sorted(latency["values"]) == sorted(j.costs["latency_ms"].value for j in result.front)
    assert front["chosen"].index(True) == 0
    assert front["chosen"].count(True) == 1
    codes = page.text_of("code")
    for judged in result.front:
        assert judged.design.key[:8] in codes
    accuracy = next(axis for axis in front["axes"] if axis["name"] == "accuracy_validation")
    assert result.best is not None
    assert accuracy["values"][0] == pytest.approx(100 * result.best.accuracy_validation.value)
    assert accuracy["low"][0] == pytest.approx(100 * result.best.accuracy_validation.low)


def test_both_accuracies_come_with_interval_and_meaning(page: Page, result: RunResult) -> None:
    best = result.best
    assert best is not None
    assert best.accuracy_test is not None
    for measured in (best.accuracy_test, best.accuracy_validation):
        assert f"{100 * measured.value:.1f}%" in page.words
        bounds = f"{100 * measured.low:.1f} to {100 * measured.high:.1f}%"
        assert f"95% interval {bounds}" in page.words
    assert "hence optimistic" in page.words
    assert "scored once after the search froze, on the exported weights" in page.words


def test_the_layers_add_up(page: Page, result: RunResult) -> None:
    assert result.inspection is not None
    time = page.plots["time"]["data"]
    total = sum(sum(trace["x"]) for trace in time)
    assert total == pytest.approx(sum(layer.latency_us for layer in result.inspection.layers))
    energy = sum(sum(trace["x"]) for trace in page.plots["energy"]["data"])
    assert result.best is not None
    assert energy == pytest.approx(result.best.costs["energy_uj"].value)
    area = sum(page.plots["area"]["data"][0]["x"])
    assert area == pytest.approx(result.best.costs["area_mm2"].value)


def test_the_search_stands_beside_random_search(page: Page, result: RunResult) -> None:
    assert result.baseline is not None
    sentence = (
        f"The search reached hypervolume {result.hypervolume:.3f} with 100 evaluations; random "
        f"search reached {result.baseline.hypervolume:.3f} with 100"
    )
    assert sentence in page.words
    assert "in 42 s outside the budget" in page.words
    names = [trace["name"] for trace in page.plots["curve"]["data"]]
    assert names == ["search", "random search"]


def test_what_models_took_is_told_by_role(page: Page, result: RunResult) -> None:
    assert (
        "18,250 tokens, 182 per evaluated design; cost unknown: no price for qwen3-8b" in page.words
    )
    for use in result.model_use.by_role:
        assert f"{use.role} {use.model} {use.asks} {use.failures}" in page.words
        assert f"{use.tokens_in:,} {use.tokens_out:,}" in page.words
    unused = Page(render_html(replace(result, model_use=ModelUse(0, 0, 0, 0.0))))
    assert "No language model was asked: 0 tokens for each evaluated design." in unused.words
    assert "Language models" not in unused.words


def test_the_brief_is_there_as_toml(page: Page, result: RunResult) -> None:
    [toml] = [text for text in page.text_of("code") if text.startswith("name = ")]
    assert tomllib.loads(toml) == result.brief.model_dump(mode="json", exclude_none=True)


def test_evidence_is_bounded_and_says_so(
    result: RunResult, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    distinct = {m for j in result.front for m in (j.accuracy_validation, j.accuracy_test)}
    distinct |= {m for j in result.front for m in j.costs.values()}
    assert f"All {len(distinct)} are shown" in page.words
    assert result.best is not None
    contexts = {m.context for m in result.best.costs.values()}
    assert contexts | {result.best.accuracy_validation.context} <= set(page.text_of("code"))
    monkeypatch.setattr(report_html, "MOST_EVIDENCE_ROWS", 5)
    words = Page(render_html(result)).words
    assert f"5 measurements are shown here; {len(distinct) - 5} more are in archive.db" in words


def test_untrusted_text_stays_text(result: RunResult, page: Page) -> None:
    attacked = Page(render_html(_hostile(result)))
    assert {tag for tag, _ in attacked.tags} <= {tag for tag, _ in page.tags}
    assert len(attacked.all("script")) == len(page.all("script"))
    for _, attributes in attacked.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
    for attack in ATTACKS:
        assert " ".join(attack.split())[:20] in attacked.words
    assert "{{ 7 * 7 }}" in attacked.words


def test_plots_hold_no_tags_from_outside(result: RunResult) -> None:
    figures = Page(render_html(_hostile(result))).plots
    texts = [*figures["front"]["hover"]]
    for name in ("time", "energy", "utilisation", "area"):
        for trace in figures[name]["data"]:
            texts += [*trace["y"], trace.get("name", ""), trace.get("hovertemplate", "")]
    for text in texts:
        bare = re.sub(r"</?b>|<br>|<extra></extra>", "", text)
        assert "<" not in bare
        assert ">" not in bare


def test_an_empty_front_says_why(nothing_feasible: RunResult) -> None:
    page = Page(render_html(nothing_feasible))
    assert "No feasible design" in page.text_of("h2")
    assert "No design met the constraints" in page.words
    assert "The nearest was" in page.words
    assert "turning one away, 71 times: area_mm2 = 11.2: at most 8" in page.words
    assert set(page.plots) == {"curve"}


def test_a_brief_without_constraints_may_end_empty_too(nothing_feasible: RunResult) -> None:
    brief = nothing_feasible.brief.model_copy(update={"constraints": {}})
    bare = replace(
        nothing_feasible, brief=brief, nearest=None, rejections=(), failures=(), curve=(),
        decisions=(), lessons=(), recalled=(), baseline=None, seconds_by_part={},
        images_by_split={},
    )  # fmt: skip
    words = Page(render_html(bare)).words
    assert "No design found" in words
    assert "could be judged" in words
    assert "so there is no curve" in words


def test_no_baseline_and_no_test_score_say_so(result: RunResult) -> None:
    front = tuple(replace(judged, accuracy_test=None) for judged in result.front)
    best = next(j for j in front if result.best and j.design == result.best.design)
    page = Page(render_html(replace(result, baseline=None, front=front, best=best)))
    assert "was omitted from this run" in page.words
    assert "Not scored on the test split" in page.words
    assert [trace["name"] for trace in page.plots["curve"]["data"]] == ["search"]
    assert "accuracy_test" not in [axis["name"] for axis in page.plots["front"]["axes"]]


@pytest.mark.parametrize(
    "objectives", [("energy_uj",), ("accuracy",), ("accuracy", "energy_uj"), ("area_mm2", "macs")]
)
def test_any_number_of_objectives_is_shown(
    objectives: tuple[str, ...], make_result: Callable[..., RunResult], tmp_path: Path
) -> None:
    made = make_result(objectives=objectives)
    write_html(made, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert ("front" in page.plots) == (len(made.front) > 1)
    if len(made.front) > 1:
        shown = {axis["metric"] for axis in page.plots["front"]["axes"] if axis["objective"]}
        assert shown == set(objectives)
    else:
        assert "nothing to plot" in page.words


def test_long_fronts_and_lists_are_bounded(
    make_result: Callable[..., RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_result(objectives=("accuracy", "latency_ms", "energy_uj", "area_mm2"), designs=1500)
    assert len(made.front) > 60
    monkeypatch.setattr(report_html, "MOST_FRONT_ROWS", 50)
    decisions = tuple(Decision(i, "planner", "rules", f"go {i}", "so") for i in range(250))
    page = Page(render_html(replace(made, decisions=decisions)))
    assert len(page.plots["front"]["chosen"]) == 50
    assert f"Of {len(made.front)} designs the plot and the table show 50" in page.words
    assert "50 more are in archive.db" in page.words
