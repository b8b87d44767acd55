"""A whole run whose evaluator's model explains the result: asked once, kept, shown as its words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs
from tool_calls import calling, results

from archwright.agents.model.abilities import Abilities, keep_abilities
from archwright.events import read_events
from archwright.settings import load_settings

pytestmark = pytest.mark.slow

WORDS = {
    "why_best": ["Its last stage is wide."],
    "bottleneck": ["Depthwise layers fill and drain the array."],
    "next": ["Smaller arrays would be worth a try."],
}


def test_the_frozen_result_is_explained_once(
    tiny_run: Any,
    home: Path,
    settings_file: Path,
    tmp_path: Path,
    start_chat_server: Callable[..., Any],
    reply: Any,
) -> None:
    told: list[list[str]] = []
    contexts: list[str] = []

    def script(request: dict[str, Any], number: int) -> Any:
        if '"why_best"' not in request["messages"][0]["content"]:
            return {"order": [1, 0]}
        contexts.append(request["messages"][1]["content"])
        if not results(request):
            return reply(raw=calling(("front", {}), ("suggest", {"designs": 1}), ("resume", {})))
        told.append(results(request))
        return WORDS

    runs.share_supernets(tiny_run.home, home)
    server = start_chat_server(script)
    settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
    keep_abilities(load_settings().profile("m"), Abilities(tools=True))  # not probed here
    brief = runs.write_brief(tmp_path, '\n[models]\nevaluator = "m"\n', runs.SHORT_BRIEF)
    folder = tmp_path / "run"
    result = runs.search(brief, "--run-dir", folder, "--no-random")

    [[front, suggested, refused]] = told
    assert '"measured networks":7' in front
    assert '"designs":[{' in suggested
    assert refused.startswith("error: no tool 'resume'; allowed describe_space, ")
    used = [event for event in read_events(folder / "events.jsonl") if event["kind"] == "tool"]
    assert [event["tool"] for event in used] == ["front", "suggest", "resume"]
    assert [event["outcome"] for event in used[:2]] == ["answered"] * 2
    assert used[0]["characters"] == len(front)
    for text in (*contexts, front, suggested):  # prompts are equal when a run is replayed
        assert result["run"] not in text
        assert str(tmp_path) not in text

    said = " ".join(sentence for sentences in WORDS.values() for sentence in sentences)

    def shown() -> bool:
        pages = [(folder / f"report.{kind}").read_text("utf-8") for kind in ("md", "html")]
        whose = "The words of model/scripted, a language model"
        return all(said in page and whose in page for page in pages)

    assert shown()
    use = result["model"]
    assert use["requests"] == len(server.requests)
    tokens = sum(role["tokens_in"] + role["tokens_out"] for role in use["by_role"])
    assert use["tokens"] == tokens >= 110  # those of the tool calls among them
    asked = len(server.requests)
    for page in folder.glob("report.*"):
        page.unlink()
    status, out, err = runs.archwright("report", result["run"], "--json")
    assert status == 0, err
    assert json.loads(out.splitlines()[-1])["model"] == use, "and what it took"
    assert shown(), "a re-made report shows them again"
    assert len(server.requests) == asked, "and asks nothing"
