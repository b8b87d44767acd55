"""The benchmark's recorded openings answer what a model is asked today."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.hybrid.notebook import PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.phases import OPENING
from archwright.agents.problem import History
from archwright.agents.proposer import Request
from archwright.brief import Budget
from archwright.design import Design, Origin
from archwright.settings import Settings
from archwright.tabular.advised import Adviser
from archwright.tabular.nas201 import nas201
from archwright.tabular.table import read_table

OPENINGS = Path(__file__).resolve().parents[2] / "benchmarks" / "models" / "openings"


@pytest.mark.slow
def test_each_opening_is_found_in_its_transcript(shared: Path) -> None:
    """Where this fails the prompt has changed: `python -m benchmarks.models.openings --refresh`."""
    table = read_table(shared / "data" / "nas201_cifar10.csv.gz")
    problem = nas201(table, "cifar10_test_12ep").problem
    pairings = Pairings(problem)
    drawn = problem.network_space.sample(np.random.default_rng(0), 10)
    device = problem.hardware_space.decode(problem.hardware_space.enumerate()[:1])[0]
    designs = [Design(n, device, Origin("test", "drawn")) for n in problem.networks(drawn)]

    class Drawn:
        """Rules that need not know the costs of all networks."""

        def propose(self, request: Request) -> list[Design]:
            return designs

    phase = replace(OPENING, strategy="surrogate")
    request = Request(0, 0, phase, 10, History(), Frontier(problem, pairings))
    for name in ("good", "middling", "worthless"):
        file = OPENINGS / f"{name}.jsonl"
        asks: list[Any] = []
        port = Adviser(Settings(), "recorded", Budget(evaluations=1), replay=file).open(asks.append)
        rules: Any = Drawn()
        notebook = PlainNotebook()
        proposer = ModelProposer(rules, problem, pairings, port, lambda *_: None, notebook)
        batch = proposer.propose(request)
        assert [asked.outcome for asked in asks] == ["answered"], name
        assert sum(design.origin.proposer == "model/opening" for design in batch) == 5, name
