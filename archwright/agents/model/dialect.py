"""In which form an endpoint is asked: the options of a request, and what to try with less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel

from archwright.agents.model.abilities import LIMIT_FIELDS, Abilities
from archwright.agents.model.prompt import schema_of

ASKS_FOR_LESS = frozenset({400, 422, 501})
"""HTTP statuses by which an endpoint says that it does not take an option."""


def _form(kind: str) -> Callable[[type[BaseModel]], dict[str, object]]:
    return lambda answer: {"response_format": {"type": kind}}


def _schema(bounds: bool) -> Callable[[type[BaseModel]], dict[str, object]]:
    def options(answer: type[BaseModel]) -> dict[str, object]:
        schema = schema_of(answer, bounds=bounds)
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    return options


_FORMS: Mapping[str, Callable[[type[BaseModel]], dict[str, object]]] = {
    "json_schema": _schema(True),
    "loose_schema": _schema(False),
    "json_object": _form("json_object"),
    "text": lambda answer: {},
}
"""How an answer is asked for, the most exact first. The prompt holds the schema always."""


@dataclass(frozen=True)
class Dialect:
    """How an endpoint wants to be asked: known, or found out once for each kind of answer."""

    form: str = "json_schema"
    limit_field: str = LIMIT_FIELDS[0]
    left_out: frozenset[str] = frozenset()
    """Wishes (seed, temperature) that it does not take."""

    @classmethod
    def of(cls, abilities: Abilities | None) -> Dialect:
        """Where to begin with an endpoint that can this; at the top where nothing is known."""
        if abilities is None:
            return cls()
        form = "text"
        if abilities.json_schema:
            form = "json_schema" if abilities.schema_bounds else "loose_schema"
        elif abilities.json_object:
            form = "json_object"
        wishes = {"seed": abilities.seed, "temperature": abilities.temperature}
        left_out = frozenset(wish for wish, taken in wishes.items() if not taken)
        return cls(form, abilities.limit_field, left_out)

    def step_down(
        self, said: str, answer: type[BaseModel], wishes: Mapping[str, object]
    ) -> Dialect | None:
        """What to try when the server did not accept this; None when nothing is left.

        ``said`` are its words: what they name goes first.
        """
        other = LIMIT_FIELDS[1]
        if other in said and self.limit_field != other:
            return replace(self, limit_field=other)
        sent = wishes.keys() - self.left_out
        if named := {wish for wish in sent if wish in said}:
            return replace(self, left_out=self.left_out | named)
        names = list(_FORMS)
        for form in names[names.index(self.form) + 1 :]:
            if _FORMS[form](answer) != _FORMS[self.form](answer):
                return replace(self, form=form)
        return replace(self, left_out=self.left_out | sent) if sent else None

    def options(
        self, answer: type[BaseModel], max_tokens: int, wishes: Mapping[str, object]
    ) -> dict[str, object]:
        """The fields of the request that depend on the dialect."""
        taken = {wish: value for wish, value in wishes.items() if wish not in self.left_out}
        return {self.limit_field: max_tokens, **taken, **_FORMS[self.form](answer)}
