"""The port through which roles ask a language model for a checked answer.

``ModelPort.ask`` gives an answer that pydantic has validated, or raises
:class:`ModelFailure` with a short reason: a run never dies of a model. What happens when:

=====================================  ==================================================
no connection, a dropped one, 5xx      sent again, at most ``max_retries`` times
HTTP 429                               the same, after Retry-After when that is bearable
time-out                               fails: a second one would double the wait
400, 422, 501 (or 500 at first)        asked for less: json_schema, json_object, plain text
invalid JSON, out of bounds, empty     told to the model once, then fails
refusal, truncated, enormous           fails
budget spent                           fails before anything is sent
three failures in a row                the next five asks fail at once, then one probes
=====================================  ==================================================

Requests go through :mod:`archwright.agents.model.endpoint`; budgets and the breaker are in
:mod:`archwright.agents.model.limits`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from archwright.agents.model.endpoint import Endpoint, Transport
from archwright.agents.model.limits import Breaker, Limits
from archwright.agents.model.prompt import estimated_tokens, messages_of, schema_of
from archwright.agents.model.reading import complaints, read_json
from archwright.agents.model.wire import Completion, EndpointFault, Message
from archwright.errors import BudgetSpent, ModelFailure
from archwright.settings import Profile

LARGEST_ANSWER_CHARACTERS = 100_000
LONGEST_WAIT_S = 20.0
FIRST_WAIT_S = 0.25

_FORMATS = ("json_schema", "json_object", "text")
_ASKS_FOR_LESS = frozenset({400, 422, 501})
_log = logging.getLogger(__name__)

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
    ``tools`` are what it may call first.
    """

    step: int
    role: str
    instructions: str
    context: str
    answer: type[AnswerModel]
    check: Callable[[AnswerModel], str] | None = None
    tools: Sequence[OfferedTool] = ()
    temperature: float | None = None


@dataclass(frozen=True)
class Answer(Generic[AnswerModel]):
    """A validated answer and what it cost.

    Tokens are those of all ``attempts`` (requests sent), as the server counted them, else
    estimated. ``dollars`` is None unless price and counts are known. ``complaint`` is what
    the question's check still says of it.
    """

    value: AnswerModel
    tokens_in: int
    tokens_out: int
    seconds: float
    dollars: float | None
    attempts: int
    complaint: str = ""


@dataclass(frozen=True)
class EndpointCheck:
    """Whether an endpoint answers, for ``archwright doctor``."""

    ok: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class _Dialect:
    """How an endpoint wants to be asked: found out once for each kind of answer."""

    form: str = _FORMATS[0]
    limit_field: str = "max_tokens"

    def step_down(self, said: str = "") -> _Dialect | None:
        """What to try when the server did not accept this; None when nothing is left."""
        if "max_completion_tokens" in said and self.limit_field == "max_tokens":
            return replace(self, limit_field="max_completion_tokens")
        position = _FORMATS.index(self.form) + 1
        return replace(self, form=_FORMATS[position]) if position < len(_FORMATS) else None

    def options(self, answer: type[BaseModel], max_tokens: int) -> dict[str, object]:
        """The fields of the request that depend on the dialect."""
        options: dict[str, object] = {self.limit_field: max_tokens}
        if self.form == "json_schema":
            options["response_format"] = {"type": "json_schema", "json_schema": schema_of(answer)}
        elif self.form == "json_object":
            options["response_format"] = {"type": "json_object"}
        return options


@dataclass
class _Tally:
    """What one ask has used so far, over all its requests."""

    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = 0.0

    def add(self, tokens_in: int, tokens_out: int, dollars: float | None) -> None:
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.dollars = None if dollars is None or self.dollars is None else self.dollars + dollars


class _InvalidAnswer(Exception):
    """The model's text is not the answer asked for; the message can be sent back to it."""


class ModelPort:
    """Asks one model. Threads may share a port; the breaker's state is the port's own."""

    def __init__(
        self,
        profile: Profile,
        limits: Limits,
        breaker: Breaker | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.profile = profile
        self.limits = limits
        self._endpoint = transport or Endpoint(profile)
        self._breaker = breaker or Breaker()
        self._dialects: dict[type[BaseModel], _Dialect] = {}

    def __repr__(self) -> str:
        return f"ModelPort({self._endpoint!r})"

    def ask(self, question: Question[AnswerModel]) -> Answer[AnswerModel]:
        """The answer to a question. Raises :class:`ModelFailure`, and nothing else."""
        started = time.monotonic()
        tally = _Tally()
        try:
            with self._breaker.ask():
                value, complaint = self._converse(question, tally)
        except BudgetSpent as spent:
            raise ModelFailure(f"budget spent: {spent}") from None
        seconds = time.monotonic() - started
        _log.info("%s: answered after %d requests, %.1f s", question.role, tally.attempts, seconds)
        return Answer(
            value,
            tally.tokens_in,
            tally.tokens_out,
            seconds,
            tally.dollars,
            tally.attempts,
            complaint,
        )

    def _converse(self, question: Question[AnswerModel], tally: _Tally) -> tuple[AnswerModel, str]:
        """The answer after at most one correction by the model itself, and what is wrong yet."""
        messages = messages_of(
            question.role, question.instructions, question.context, question.answer
        )
        text = self._complete(messages, question.answer, tally)
        first: AnswerModel | None = None
        try:
            first = self._parse(text, question.answer)
            wrong = question.check(first) if question.check else ""
            if not wrong:
                return first, ""
        except _InvalidAnswer as invalid:
            wrong = str(invalid)
        complaint = f"That answer is not valid: {wrong}. Answer again, with the JSON only."
        if text.strip():  # scrubbed: it may echo the key
            said = self._endpoint.scrub(text)[:4000]
            messages = [*messages, {"role": "assistant", "content": said}]
        messages = [*messages, {"role": "user", "content": self._endpoint.scrub(complaint)}]
        try:
            second = self._parse(self._complete(messages, question.answer, tally), question.answer)
        except _InvalidAnswer as invalid:
            if first is not None:  # valid in form: its caller takes what is right in it
                return first, wrong
            reason = self._endpoint.scrub(f"invalid answer, twice: {invalid}")
            raise ModelFailure(reason) from None
        return second, question.check(second) if question.check else ""

    def _parse(self, text: str, answer: type[AnswerModel]) -> AnswerModel:
        """The answer in a model's text. Scrubbed, lest a server echoes the key in it."""
        if not text.strip():
            raise _InvalidAnswer("it is empty")
        try:
            found = json.dumps(read_json(text), ensure_ascii=False)
            return answer.model_validate_json(self._endpoint.scrub(found))
        except ValidationError as error:
            raise _InvalidAnswer(complaints(error)) from None
        except ValueError as error:
            raise _InvalidAnswer(str(error)) from None

    def _complete(self, messages: list[Message], answer: type[BaseModel], tally: _Tally) -> str:
        """The text of a whole answer, however often it has to be asked for."""
        proven = self._dialects.get(answer)
        dialect = proven or _Dialect()
        retries = 0
        while True:
            options = dialect.options(answer, self.profile.max_output_tokens)
            try:
                completion = self._send(messages, options, tally)
                break
            except EndpointFault as fault:
                less = dialect.step_down(fault.reason) if proven is None else None
                # llama-cpp-python answers 500, not 400, to a response_format it lacks.
                if less and (fault.status in _ASKS_FOR_LESS or fault.status == 500):
                    dialect = less
                    continue
                if not fault.retryable or retries == self.profile.max_retries:
                    raise ModelFailure(fault.reason) from None
                _wait(fault, retries)
                retries += 1
        self._dialects[answer] = dialect
        if completion.refusal or completion.finish_reason == "content_filter":
            raise ModelFailure("refused by the model")
        if completion.finish_reason == "length":
            raise ModelFailure(f"truncated at {self.profile.max_output_tokens} tokens")
        if len(completion.content) > LARGEST_ANSWER_CHARACTERS:
            raise ModelFailure(f"enormous answer: {len(completion.content)} characters")
        return completion.content

    def _send(
        self, messages: list[Message], options: Mapping[str, object], tally: _Tally
    ) -> Completion:
        """One request, paid for. Raises EndpointFault and BudgetSpent."""
        most_out = self.profile.max_output_tokens
        most_in = estimated_tokens(json.dumps([messages, options]))
        tally.attempts += 1
        with self.limits.request(
            most_in + most_out, self.profile.dollars(most_in, most_out)
        ) as charge:
            try:
                completion = self._endpoint.send(messages, options)
            except EndpointFault as fault:
                if fault.billed:  # nobody knows how much: it stays at what was reserved
                    tally.add(most_in, most_out, None)
                else:
                    charge.used(0, 0.0)
                raise
            if completion.tokens_in is not None and completion.tokens_out is not None:
                tokens_in, tokens_out = completion.tokens_in, completion.tokens_out
                dollars = self.profile.dollars(tokens_in, tokens_out)
                charge.used(tokens_in + tokens_out, dollars)
                tally.add(tokens_in, tokens_out, dollars)
            else:
                tokens_out = estimated_tokens(completion.content)
                charge.used(most_in + tokens_out, self.profile.dollars(most_in, tokens_out))
                tally.add(most_in, tokens_out, None)
        return completion


def check_endpoint(profile: Profile) -> EndpointCheck:
    """Whether the endpoint answers a tiny request. Never raises."""
    started = time.monotonic()
    endpoint = Endpoint(profile)
    question = [{"role": "user", "content": "Answer with OK."}]
    try:
        try:
            endpoint.send(question, {"max_tokens": 16})
        except EndpointFault as fault:
            if "max_completion_tokens" not in fault.reason:
                raise
            endpoint.send(question, {"max_completion_tokens": 16})
    except EndpointFault as fault:
        return EndpointCheck(False, fault.reason, time.monotonic() - started)
    seconds = time.monotonic() - started
    return EndpointCheck(True, f"{profile.model} answered in {seconds:.2f} s", seconds)


def _wait(fault: EndpointFault, retries: int) -> None:
    """Wait before sending again: as long as the server asks, within bounds."""
    seconds = FIRST_WAIT_S * 2**retries
    if fault.retry_after_s is not None:
        seconds = fault.retry_after_s
    if seconds > LONGEST_WAIT_S:
        raise ModelFailure(f"{fault.reason}; it asks to wait {seconds:.0f} s") from None
    time.sleep(seconds)
