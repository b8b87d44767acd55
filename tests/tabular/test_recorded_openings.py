"""The benchmark's recorded openings answer what a model is asked today."""

from __future__ import annotations

from pathlib import Path

import pytest

from archwright.agents.problem import History
from archwright.brief import Budget
from archwright.settings import Settings
from archwright.tabular.advised import AdvisedSearch, Adviser
from archwright.tabular.bench import Arena
from archwright.tabular.nas201 import nas201
from archwright.tabular.table import read_table

ROOT = Path(__file__).resolve().parents[2]
OPENINGS = ROOT / "benchmarks" / "models" / "openings"


@pytest.mark.slow
def test_each_opening_is_found_in_its_transcript(shared: Path) -> None:
    """Where this fails the prompt has changed: `python -m benchmarks.models.openings --refresh`."""
    arena = Arena(
        nas201(read_table(shared / "data" / "nas201_cifar10.csv.gz"), "cifar10_test_12ep")
    )
    for name in ("good", "middling", "worthless"):
        adviser = Adviser(
            Settings(), "recorded", Budget(evaluations=1), replay=OPENINGS / f"{name}.jsonl"
        )
        pairings = arena.costed_pairings
        search = AdvisedSearch(arena.tabular.problem, pairings, 0, adviser)
        batch = search.ask(0, 5, History())
        assert len(batch) == 10, name
        account = search.account
        assert (account.asked, account.failed, account.taken) == (1, 0, 5), name
