"""What every model-backed mind does: ask its model, and leave the step to the rules when it fails.

A model's answer passes through a pydantic model with bounds. Whatever goes wrong is
recorded with its reason; a run never dies of a model.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, TypeVar

from pydantic import BaseModel

from archwright.agents.model import ModelPort
from archwright.errors import ModelFailure

ANSWERED_INSTEAD = "answered instead of the model"

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

    def ask(self, step: int, context: str, answer: type[Answer]) -> Answer | None:
        """The model's answer, or None (recorded) when the rules must answer this step."""
        try:
            reply = self._port.ask(self.role, self.instructions, context, answer)
        except ModelFailure as failure:
            self._note(step, self.role, "rules", ANSWERED_INSTEAD, str(failure))
            return None
        self._note(step, self.role, self.mind, "answered", f"{reply.value}"[:500])
        return reply.value

    @property
    def mind(self) -> str:
        """The name under which this mind's words are recorded."""
        return f"model/{self._port.profile.model}"
