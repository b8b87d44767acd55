"""What a role asks of a model, what it is given back, and the tools that it may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel

AnswerModel = TypeVar("AnswerModel", bound=BaseModel)


class OfferedTool(Protocol):
    """A tool as a model is offered it."""

    name: str
    schema: Mapping[str, object]
    """The chat-completions function."""

    def call(self, arguments: str) -> str:
        """The result, or ``error: ...`` in words that a model can act on; never raises."""
        ...


@dataclass(frozen=True)
class Question(Generic[AnswerModel]):
    """What a role asks of a model.

    ``instructions`` is the fixed part, which comes first so that prompt caches hit;
    ``context`` changes from ask to ask and is quoted as data. Bounds belong on every field
    of ``answer``: small models obey a schema and still write 10^15. ``check`` says what is
    wrong with a valid answer, in words that go back to the model once ("": nothing).
    ``tools`` are what it may call first. ``temperature`` and ``seed`` are wishes: they go
    out where the endpoint takes them.
    """

    step: int
    role: str
    instructions: str
    context: str
    answer: type[AnswerModel]
    check: Callable[[AnswerModel], str] | None = None
    tools: Sequence[OfferedTool] = ()
    temperature: float | None = None
    seed: int | None = None

    @property
    def wishes(self) -> dict[str, object]:
        """The options of a request that are wished for."""
        wishes = {"temperature": self.temperature, "seed": self.seed}
        return {name: value for name, value in wishes.items() if value is not None}


@dataclass(frozen=True)
class Answer(Generic[AnswerModel]):
    """A validated answer and what it cost.

    Tokens are those of all ``attempts`` (requests sent, a probe's included), as the server
    counted them, else estimated. ``dollars`` is None where the price is not known.
    ``complaint`` is what the question's check still says of it.
    """

    value: AnswerModel
    tokens_in: int
    tokens_out: int
    seconds: float
    dollars: float | None
    attempts: int
    complaint: str = ""
