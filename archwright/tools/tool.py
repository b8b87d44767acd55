"""The declaration of a tool: pydantic arguments and result, a docstring, one function.

From it come the schema that models are given, the schema of other interfaces, and the
call itself with its arguments validated.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from archwright.border import Table, complaint
from archwright.errors import UserError
from archwright.tools.desk import Desk

Arguments = TypeVar("Arguments", bound=Table)
Result = TypeVar("Result", bound=BaseModel)


@dataclass(frozen=True)
class Tool(Generic[Arguments, Result]):
    """A typed function that agents, the command line and other programs call alike.

    ``reads_only``: nothing is kept or started by a call. ``repeatable``: calling it again
    with the same arguments changes nothing more.
    """

    name: str
    arguments: type[Arguments]
    result: type[Result]
    run: Callable[[Arguments, Desk], Result]
    reads_only: bool = True
    repeatable: bool = True

    @property
    def description(self) -> str:
        """What the tool is for, in its function's own words."""
        return inspect.getdoc(self.run) or self.name

    def call(self, arguments: Mapping[str, object], desk: Desk) -> Result:
        """Validate, run, and return the result.

        Raises :class:`UserError`, one line that names the argument and what is allowed.
        """
        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise UserError(f"{self.name}: {complaint(error)}") from None
        return self.run(checked, desk)

    def openai_schema(self) -> dict[str, Any]:
        """The tool as a chat-completions function."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.arguments.model_json_schema(),
            },
        }
