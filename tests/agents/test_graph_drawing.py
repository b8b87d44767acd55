"""The picture of the graph in the documentation is the graph itself."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from archwright.agents.graph import build_graph
from archwright.memory.archive import Archive

ARCHITECTURE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"


def test_the_architecture_page_shows_the_graph_as_it_is(
    small: SimpleNamespace, tmp_path: Path
) -> None:
    if not ARCHITECTURE.is_file():
        pytest.skip("docs/architecture.md is not there")
    search = small.Search(tmp_path, small.Instrument())
    with Archive(tmp_path / "archive.db") as archive:
        graph = build_graph(search.team(archive, tmp_path)).compile().get_graph()
    text = str(graph.draw_mermaid()).strip()
    for node in ("planner", "proposer", "critic", "approval", "evaluator", "lessons"):
        assert f"\t{node}({node})" in text
    shown = re.findall(r"```mermaid\n(.*?)\n```", ARCHITECTURE.read_text("utf-8"), re.DOTALL)
    assert text in [picture.strip() for picture in shown]
