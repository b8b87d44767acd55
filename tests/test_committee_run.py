"""A whole search with a committee behind its proposer, recorded and replayed."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import runs

from archwright.events import comparable, read_events

pytestmark = pytest.mark.slow

TABLES = """
[search]
committee = 3

[models]
proposer = "m"
critic = "m"
"""


def _answer(request: dict[str, Any], number: int) -> Any:
    """Every member changes other candidates; the critic doubts none and chooses the last."""
    fixed, data = (message["content"] for message in request["messages"][:2])
    if "Role: critic." in fixed:
        return {"best": [3, 2], "doubts": []}
    member = int(re.findall(r"You are proposer (\d) of 3", data)[-1])
    changes = [{"choice": "kernel_1", "value": str(3 + 2 * (member % 2))}]
    wanted = [
        {"candidate": k, "changes": changes, "rationale": f"said by member {member}"}
        for k in range(6)
    ]
    return {"proposals": wanted, "designs": []}


def test_a_committee_runs_and_its_replay_is_the_same_run(
    tiny_run: Any, home: Path, settings_file: Path, tmp_path: Path, start_chat_server: Any
) -> None:
    shutil.copytree(tiny_run.home, home, dirs_exist_ok=True)
    server = start_chat_server(_answer)
    settings_file.write_text(server.settings_toml("m", max_retries=0), encoding="utf-8")
    brief = runs.write_brief(tmp_path, TABLES, runs.SHORT_BRIEF)
    file, folders = tmp_path / "transcript.jsonl", (tmp_path / "first", tmp_path / "again")
    runs.search(brief, "--run-dir", folders[0], "--no-random", "--record", file)
    asked = len(server.requests)
    runs.search(brief, "--run-dir", folders[1], "--no-random", "--replay", file)
    assert len(server.requests) == asked
    first, again = (comparable(read_events(folder / "events.jsonl")) for folder in folders)
    assert first == again
    asks = Counter((row["step"], row["role"]) for row in first if row["kind"] == "model")
    assert asks[0, "proposer"] == 3
    assert {count for (_, role), count in asks.items() if role == "proposer"} == {3}
    said = [
        row["reason"] for row in first if row["kind"] == "decision" and "member" in row["reason"]
    ]
    assert {reason[:13] for reason in said} >= {f"member {k} of 3" for k in (1, 2, 3)}
