"""What every model-backed mind does: ask its model, and leave the step to the rules when it fails.

A model's answer passes through a pydantic model with bounds. Whatever goes wrong is
recorded with its reason; a run never dies of a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, ClassVar, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, Field

from archwright.agents.model.port import ModelPort, OfferedTool, Question
from archwright.design import Design
from archwright.errors import ModelFailure
from archwright.memory.lessons import plain_text

ANSWERED_INSTEAD = "answered instead of the model"
LONGEST_SENTENCE = 300
LONGEST_REASON = 80
"""Of a design's reason, in a table of many."""


def _plain(text: str) -> str:
    return plain_text(text, LONGEST_SENTENCE)


# No lone surrogates or control characters: no file, database or terminal takes harm from it.
Sentence = Annotated[str, Field(max_length=LONGEST_SENTENCE), AfterValidator(_plain)]
"""A model's words, on one line of plain characters."""

LARGEST_BATCH = 64
Position = Annotated[int, Field(ge=0, lt=LARGEST_BATCH)]
"""Which design of a batch, counted from 0."""

Answer = TypeVar("Answer", bound=BaseModel)


class Note(Protocol):
    """Records what a role decided: step, role, mind, decision, reason."""

    def __call__(self, step: int, role: str, mind: str, decision: str, reason: str) -> None:
        """Write it down."""
        ...


class Minded:
    """Base of the model-backed minds. ``role`` and ``instructions`` are the fixed part."""

    role: ClassVar[str]
    instructions: ClassVar[str]

    def __init__(self, port: ModelPort, note: Note) -> None:
        self._port = port
        self._note = note

    def ask(
        self,
        step: int,
        context: str,
        answer: type[Answer],
        check: Callable[[Answer], str] | None = None,
        tools: Sequence[OfferedTool] = (),
    ) -> Answer | None:
        """The model's answer, or None (recorded) when the rules must answer this step."""
        question = Question(step, self.role, self.instructions, context, answer, check, tools)
        try:
            reply = self._port.ask(question)
        except ModelFailure as failure:
            self._note(step, self.role, "rules", ANSWERED_INSTEAD, str(failure))
            return None
        self._note(step, self.role, self.mind, "answered", plain_text(f"{reply.value}", 500))
        return reply.value

    @property
    def mind(self) -> str:
        """The name under which this mind's words are recorded."""
        return f"model/{self._port.profile.model}"


def in_words(designs: Sequence[Design]) -> Iterator[str]:
    """Designs of one space as a table for a model to read: each network, and why it is there."""
    names = list(designs[0].network) if designs else []
    yield f"number | {' '.join(names)} | why"
    for number, design in enumerate(designs):
        values = " ".join(str(design.network[name]) for name in names)
        reason = plain_text(design.origin.reason, LONGEST_REASON)  # another run's words, maybe
        yield f"{number} | {values} | {json.dumps(reason, ensure_ascii=False)}"
