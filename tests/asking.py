"""What the tests of the model port ask, and how the scripted server answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from archwright.agents.model.port import ModelPort
from archwright.agents.model.question import Question
from archwright.errors import ModelFailure

GOOD = {"bits": 8, "why": "it fits"}


class Pick(BaseModel):
    """Choose the bits."""

    model_config = ConfigDict(extra="forbid")

    bits: int = Field(ge=2, le=16)
    why: str = Field(default="", max_length=200)


def ask(port: ModelPort, context: str = "the data", answer: type[BaseModel] = Pick) -> Any:
    """Ask a port for a pick, or for another answer."""
    return port.ask(Question(0, "critic", "Choose well.", context, answer))


def say(*replies: object) -> Callable[[Any, int], object]:
    """A script that gives these in order, and the last one from then on."""
    return lambda request, number: replies[min(number, len(replies) - 1)]


def failure(port: ModelPort) -> str:
    """The one line with which asking fails."""
    with pytest.raises(ModelFailure) as caught:
        ask(port)
    assert "\n" not in str(caught.value)
    return str(caught.value)
