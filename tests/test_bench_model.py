"""archwright bench search with a model behind the hybrid: compared, recorded, replayed."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tables
from commands import Run, one_line

BEST = {"width": "64", "depth": "3", "rows": "biased", "bits": "16"}
MORE = ("--evaluations", 14, "--batch", 3)


def sensible(request: dict[str, Any], number: int) -> dict[str, Any]:
    """A model that opens with one network and one that is none, and changes a candidate."""
    if "Nothing is measured yet" in request["messages"][1]["content"]:
        odd = {**BEST, "width": "65"}
        return {
            "designs": [
                {"level": "huge", "network": network, "rationale": "it is the largest"}
                for network in (BEST, odd)
            ]
        }
    change = {"choice": "depth", "value": str(number % 3 + 1)}
    proposals = [{"candidate": k, "changes": [change], "rationale": "deeper"} for k in range(4)]
    return {"proposals": proposals}


@pytest.fixture
def searching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """The options of the tabular problem with hardware, on the tiny table in its place."""
    module = types.ModuleType("archwright.tabular.nas201")
    module.nas201 = tables.tiny  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "archwright.tabular.nas201", module)
    path = tables.write_tiny(tmp_path / "tiny.csv")
    return ("bench", "search", "--table", path, "--accuracy", "short")


@pytest.fixture
def model(home: Path, settings_file: Path, start_chat_server: Callable[..., Any]) -> Any:
    """A sensible model that the settings call m."""
    server = start_chat_server(sensible)
    settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
    return server


def test_a_hybrid_is_compared_with_the_surrogate(
    archwright_: Run, searching: Any, model: Any
) -> None:
    status, out, err = archwright_(*searching, *MORE, "--seeds", 2, "--model", "m", "--json")
    assert status == 0, err
    found = json.loads(out)["strategies"]
    assert list(found) == ["surrogate", "hybrid"]
    assert "model" not in found["surrogate"]
    assert [len(found[name]["ratio_median"]) for name in found] == [14, 14]
    assert len(found["hybrid"]["model"]) == 2
    for search in found["hybrid"]["model"]:
        assert search["asks"] >= 2
        assert search["failed"] == 0
        assert search["tokens"] > 0
        assert search["dollars"] is None  # no price was given: unknown, not zero
        assert search["designs"] >= 1
        assert search["refused"] >= 1, "a network outside the space is counted"
        assert search["shares"][0] == 0.3
    complaint = model.requests[1].json["messages"][-1]["content"]
    assert "outside the space" in complaint
    assert "65" in complaint


def test_what_a_model_took_is_printed_in_80_columns(
    archwright_: Run, searching: Any, model: Any
) -> None:
    status, out, err = archwright_(*searching, *MORE, "--seeds", 1, "--model", "m")
    assert status == 0, err
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "a design, cost unknown" in out
    assert "designs of the model's evaluated" in out


def test_a_recorded_search_is_replayed_without_settings_or_server(
    archwright_: Run, searching: Any, model: Any, settings_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "transcript.jsonl"
    options = (*searching, *MORE, "--strategies", "hybrid", "--seeds", 1, "--json")
    status, out, err = archwright_(*options, "--model", "m", "--record", file)
    assert status == 0, err
    recorded = json.loads(out)["strategies"]["hybrid"]
    asked = len(model.requests)
    settings_file.unlink()
    status, out, err = archwright_(*options, "--replay", file)
    assert status == 0, err
    replayed = json.loads(out)["strategies"]["hybrid"]
    assert replayed["ratio_median"] == recorded["ratio_median"]
    assert replayed["model"] == recorded["model"]
    assert len(model.requests) == asked


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--model", "x"), "models = 'x': no such model profile"),
        (("--model", "m", "--strategies", "surrogate"), "a model advises hybrid only: add it"),
        (("--record", "x.jsonl"), "allowed with --seeds 1 and --workers 1 only"),
        (("--record", "x.jsonl", "--seeds", 1), "needs --model"),
        (("--replay", "none.jsonl"), "no such transcript"),
        (
            ("--model", "m", "--seeds", 1, "--record", "x.jsonl", "--replay", "y.jsonl"),
            "exclude each other",
        ),
    ],
)
def test_mistakes_are_one_line_before_any_work(
    archwright_: Run, searching: Any, model: Any, options: Any, complaint: str
) -> None:
    status, out, err = archwright_(*searching, *options)
    assert (status, out) == (2, "")
    assert complaint in one_line(err)
    assert model.requests == []
