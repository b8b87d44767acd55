"""Finding out what an endpoint can do: a few tiny requests.

Each asks for something that only an endpoint with the ability gives: a question whose plain
answer would not be the schema's, a greeting where a tool is forced. So an endpoint that
takes an option and ignores it does not count as able.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archwright.agents.model.abilities import LIMIT_FIELDS, Abilities, keep_abilities
from archwright.agents.model.endpoint import BROKEN_OFF, Endpoint
from archwright.agents.model.prompt import schema_of
from archwright.agents.model.reading import read_json
from archwright.agents.model.wire import Completion, EndpointFault, Message
from archwright.settings import Profile

PROBE = "Role: probe.\nAnswer in a few words, without explanation."
"""The system message of every request of a probe."""
MOST_TOKENS = 1024
"""Of an answer: enough for a model that thinks before a few words; others need a few."""

_NOT_TAKEN = frozenset({400, 404, 405, 415, 422, 500, 501})
_PLAIN = "What is the capital of France? One word is enough; no JSON is needed."
_WEIGH: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "weigh",
        "description": "The weight of one thing in grams.",
        "parameters": {
            "type": "object",
            "properties": {"thing": {"type": "string"}},
            "required": ["thing"],
            "additionalProperties": False,
        },
    },
}

_BOTH = "Call the tool weigh twice at once: for a stone and for a feather."
_FORCED = {"type": "function", "function": {"name": "weigh"}}

Send = Callable[[Sequence[Message], Mapping[str, object]], Completion]
"""Sends one request. Raises :class:`EndpointFault`."""


class ProbeAnswer(BaseModel):
    """A shade and a number."""

    model_config = ConfigDict(extra="forbid")

    shade: Literal["amber", "teal"]
    number: int = Field(ge=3, le=5)
    notes: list[str] = Field(max_length=2)
    word: str = Field(max_length=12)


@dataclass(frozen=True)
class EndpointCheck:
    """Whether an endpoint answers, and what it can do, for ``archwright doctor``."""

    ok: bool
    detail: str
    seconds: float
    abilities: Abilities | None = None


def check_endpoint(profile: Profile) -> EndpointCheck:
    """Ask an endpoint anew what it can do, and keep that. Never raises."""
    started = time.monotonic()
    first = 0.0
    endpoint = Endpoint(profile)

    def send(messages: Sequence[Message], options: Mapping[str, object]) -> Completion:
        nonlocal first
        completion = endpoint.send(messages, options)
        first = first or time.monotonic() - started
        return completion

    try:
        abilities = probe(send, profile.max_output_tokens)
    except EndpointFault as fault:
        if not first:
            return EndpointCheck(False, fault.reason, time.monotonic() - started)
        detail = f"{profile.model} answered in {first:.2f} s; then {fault.reason}"
        return EndpointCheck(True, detail, time.monotonic() - started)
    keep_abilities(profile, abilities)
    detail = f"{profile.model} answered in {first:.2f} s; {abilities.in_words()}"
    return EndpointCheck(True, detail, time.monotonic() - started, abilities)


def probe(send: Send, most_tokens: int) -> Abilities:
    """What the endpoint behind ``send`` can do, with answers of at most ``most_tokens``.

    Raises :class:`EndpointFault` where it cannot be told: no answer, too busy, no key.
    """
    return _Probe(send, min(most_tokens, MOST_TOKENS)).run()


class _Probe:
    def __init__(self, send: Send, most_tokens: int) -> None:
        self._send = send
        self._most_tokens = most_tokens
        self._limit_field = LIMIT_FIELDS[0]

    def run(self) -> Abilities:
        plain = self._plain()
        bounded = self._schema(bounds=True)
        tools = self._weighed(_BOTH, "auto")
        seed, temperature = self._wishes()
        return Abilities(
            json_schema=bounded or self._schema(bounds=False),
            schema_bounds=bounded,
            json_object=self._json_object(),
            tools=tools > 0,
            forced_tools=tools > 0 and self._weighed("Say hello.", _FORCED) > 0,
            parallel_tools=tools > 1,
            streaming=self._streaming(),
            usage=plain.tokens_in is not None,
            seed=seed,
            temperature=temperature,
            limit_field=self._limit_field,
        )

    def _plain(self) -> Completion:
        """The first answer. Which limit it takes is found on the way."""
        try:
            said = self._ask(_PLAIN)
        except EndpointFault as fault:
            if LIMIT_FIELDS[1] not in fault.reason:
                raise
            self._limit_field = LIMIT_FIELDS[1]
            said = self._ask(_PLAIN)
        if said.finish_reason == "length":  # then those to come would be cut, not unable
            reason = (
                f"a few words are cut at {self._most_tokens} tokens: what it can do is not known"
            )
            raise EndpointFault(reason)
        return said

    def _schema(self, *, bounds: bool) -> bool:
        form = {"type": "json_schema", "json_schema": schema_of(ProbeAnswer, bounds=bounds)}
        said = self._try(_PLAIN, response_format=form)
        if said is None:
            return False
        try:
            ProbeAnswer.model_validate(read_json(said.content), strict=True)
        except ValidationError as error:
            # Without bounds in the schema nobody can keep them: its form is what counts.
            form_errors = ("missing", "extra_forbidden", "literal_error", "_type")
            return not bounds and not any(
                e["type"].endswith(form_errors) for e in error.errors(include_url=False)
            )
        except ValueError:
            return False
        return True

    def _json_object(self) -> bool:
        said = self._try(_PLAIN, response_format={"type": "json_object"})
        return said is not None and _is_object(said.content)

    def _weighed(self, words: str, choice: object) -> int:
        """How many calls of the tool come that can be understood."""
        said = self._try(words, tools=[_WEIGH], tool_choice=choice)
        calls = said.calls if said else ()
        return sum(call.name == "weigh" and _is_object(call.arguments) for call in calls)

    def _wishes(self) -> tuple[bool, bool]:
        """Whether it takes a seed and a temperature: both at once, else one by one."""
        seed, temperature = {"seed": 7}, {"temperature": 0.5}
        if self._try(_PLAIN, **seed, **temperature) is not None:
            return True, True
        return self._try(_PLAIN, **seed) is not None, self._try(_PLAIN, **temperature) is not None

    def _streaming(self) -> bool:
        try:
            return self._try(_PLAIN, stream=True) is not None
        except EndpointFault as fault:
            if fault.reason == BROKEN_OFF:  # it answered as if nobody had asked for a stream
                return False
            raise

    def _try(self, words: str, **options: object) -> Completion | None:
        """The answer; None where the endpoint does not take these options."""
        for attempt in (1, 2):
            try:
                return self._ask(words, **options)
            except EndpointFault as fault:
                if fault.status not in _NOT_TAKEN:
                    raise
                if fault.status != 500 or attempt == 2:  # once, it may have been an accident
                    break
        return None

    def _ask(self, words: str, **options: object) -> Completion:
        messages = [{"role": "system", "content": PROBE}, {"role": "user", "content": words}]
        return self._send(messages, {self._limit_field: self._most_tokens, **options})


def _is_object(text: str) -> bool:
    try:
        return bool(read_json(text))
    except ValueError:
        return False
