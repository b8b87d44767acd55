"""A proposer's model behind real HTTP, what it is asked in, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.hybrid.notebook import PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.phases import EXPLORE, OPENING
from archwright.agents.problem import History, Problem
from archwright.agents.proposer import Request, RuleBasedProposer
from archwright.design import Design


@dataclass(frozen=True)
class Asked:
    """What a model's proposer came to: its batch, what was asked, noted and written down."""

    batch: list[Design]
    requests: list[Any]
    notes: list[tuple[Any, ...]]
    notebook: PlainNotebook

    @property
    def own(self) -> list[Design]:
        """The designs of the batch that are the model's."""
        return [design for design in self.batch if design.origin.proposer == "model/scripted"]

    @property
    def data(self) -> str:
        """What the model was told first, beside the fixed instructions."""
        return str(self.requests[0].json["messages"][1]["content"])

    @property
    def complaint(self) -> str:
        """What went back to the model."""
        return str(self.requests[1].json["messages"][-1]["content"])


@pytest.fixture
def proposer(problem: Problem, pairings: Pairings) -> RuleBasedProposer:
    """The rules alone."""
    return RuleBasedProposer(problem, pairings, seed=1)


@pytest.fixture
def round_request(problem: Problem, pairings: Pairings, small: Any) -> Request:
    """A request to explore with 8 designs after 12 measurements: 3 of them may be the model's."""
    rows = problem.network_space.sample(np.random.default_rng(5), 12)
    told = small.history_of(small.evaluate(problem, rows))
    frontier = Frontier(problem, pairings)
    frontier.add(told.evaluated)
    return Request(3, 0, EXPLORE, 8, told, frontier, proposed=12)


@pytest.fixture
def opening_request(problem: Problem, pairings: Pairings) -> Request:
    """A request for an opening of 16 designs before anything is known."""
    phase = replace(OPENING, strategy="surrogate")
    return Request(0, 0, phase, 16, History(), Frontier(problem, pairings))


@pytest.fixture
def ask(
    problem: Problem, pairings: Pairings, proposer: RuleBasedProposer, port_to: Callable[..., Any]
) -> Callable[..., Asked]:
    """``ask(answers, request)``: the first batch where a model gives these answers in turn.

    An answer may be a callable over the request's body.
    """

    def build(
        answers: Any, request: Request, notebook: PlainNotebook | None = None, **profile: Any
    ) -> Asked:
        turns = answers if isinstance(answers, list) else [answers]

        def script(body: Any, number: int) -> Any:
            answer = turns[min(number, len(turns) - 1)]
            return answer(body) if callable(answer) else answer

        fields = {"max_output_tokens": 4096, "max_retries": 0, **profile}
        port, server = port_to(script, **fields)
        notes: list[tuple[Any, ...]] = []
        kept = notebook or PlainNotebook()
        model = ModelProposer(
            proposer, problem, pairings, port, lambda *words: notes.append(words), kept
        )
        return Asked(model.propose(request), server.requests, notes, kept)

    return build


def proposal(candidate: int, rationale: str = "wider", **changes: Any) -> dict[str, Any]:
    """A candidate with changes, as an answer holds it."""
    listed = [{"choice": choice, "value": value} for choice, value in changes.items()]
    return {"candidate": candidate, "changes": listed, "rationale": rationale}


def proposals(*several: dict[str, Any]) -> dict[str, Any]:
    """A round's answer."""
    return {"proposals": list(several)}


def networks(problem: Problem, levels: Any, pairings: Pairings) -> list[dict[str, Any]]:
    """One network of each cost level, cheapest level first, as points."""
    rows = problem.network_space.sample(np.random.default_rng(2), 4000)
    top = np.array(problem.network_space.shape) - 1
    rows = np.concatenate([np.stack([top * 0, top]), rows])
    where = levels.of(pairings.catalogue.complexity(rows))
    picked = [rows[int(np.argmax(where == level))] for level in range(len(levels.names))]
    return problem.network_space.decode(np.stack(picked))


def opens(network: Any, level: str = "small", rationale: str = "known to work") -> dict[str, Any]:
    """A network of an opening, as an answer holds it."""
    values = {name: str(value) for name, value in network.items()}
    return {"level": level, "network": values, "rationale": rationale}


def schema_in(body: Any) -> dict[str, Any]:
    """The JSON schema that a request carries."""
    return dict(body["response_format"]["json_schema"])


def whole_prompt(body: Any) -> str:
    """All that a request makes a model read: its messages, the schema in them."""
    return "\n".join(message["content"] for message in body["messages"])


@pytest.fixture
def make() -> Any:
    """The helpers above: tests are not a package and cannot import them."""
    from types import SimpleNamespace

    return SimpleNamespace(
        proposal=proposal,
        proposals=proposals,
        networks=networks,
        opens=opens,
        schema_in=schema_in,
        whole_prompt=whole_prompt,
    )
