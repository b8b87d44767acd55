"""The port through which roles ask a language model for a checked answer.

``ModelPort.ask`` gives an answer that pydantic has validated, or raises
:class:`ModelFailure` with a short reason: a run never dies of a model. What happens when:

=======================================  ================================================
no connection, a dropped one, 5xx        sent again, at most ``max_retries`` times
HTTP 429                                 the same, after Retry-After (seconds or a date)
                                         when that is bearable, else fails
time-out                                 fails: a second one would double the wait
400, 422, 501 (or 500 at first)          asked for less: a schema with bounds, one without,
                                         any JSON object, plain text; no seed and temperature
prompt beyond the context, quota spent   fails at once, whatever the status
invalid JSON, out of bounds, empty       told to the model once, then fails
an answer that the end of the text cuts  the same: a part of an answer is not an answer
drafts before the answer, two objects    the last object counts; thinking is passed over
tool calls that nobody asked for         left out; where nothing else is there, as empty
tools that an endpoint refuses           asked without them, from then on
the question's own check complains       told to the model once; then the answer stands,
                                         with the complaint beside it
refusal, content filter                  fails
finish_reason length, enormous           fails
a stream that ends early                 fails (what came of it is for a chat to show)
budget spent                             fails before anything is sent
three failures in a row                  the next five asks fail at once, then one probes
=======================================  ================================================

What an endpoint can do (:mod:`archwright.agents.model.abilities`) is known, probed at the
first ask, or found out by what it refuses (:mod:`archwright.agents.model.dialect`).
Requests go through :mod:`archwright.agents.model.endpoint`; budgets and the breaker are in
:mod:`archwright.agents.model.limits`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from pydantic import BaseModel, ValidationError

from archwright.agents.model.abilities import LIMIT_FIELDS, Abilities
from archwright.agents.model.dialect import ASKS_FOR_LESS, Dialect
from archwright.agents.model.endpoint import Endpoint, Transport
from archwright.agents.model.ledger import ANSWERED, Asked
from archwright.agents.model.limits import Allowance, Breaker, Limits
from archwright.agents.model.prices import cost, price_of
from archwright.agents.model.probing import probe
from archwright.agents.model.prompt import estimated_tokens, messages_of, sendable
from archwright.agents.model.question import Answer, AnswerModel, Question
from archwright.agents.model.reading import complaints, read_json, without_thinking
from archwright.agents.model.tool_loop import ToolUse, answer_with_tools
from archwright.agents.model.wire import Completion, EndpointFault, Message
from archwright.errors import BudgetSpent, ModelFailure
from archwright.settings import Profile

LARGEST_ANSWER_CHARACTERS = 100_000
LONGEST_WAIT_S = 20.0
FIRST_WAIT_S = 0.25
MOST_AT_ONCE = 4
"""Questions of one round that are asked at the same time."""
LONGEST_QUOTED = 4000
"""Characters of an answer that goes back to its model with a complaint."""

_REFUSES_TOOLS = ASKS_FOR_LESS | {404, 500}
_log = logging.getLogger(__name__)


@dataclass
class _Tally:
    """What one ask may use, and has used so far over all its requests."""

    limits: Allowance
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


def _forget(*said: object) -> None:
    """Keeps no record of an ask or a tool call."""


@dataclass(frozen=True)
class _Records:
    """Who hears of each ask when it has ended, and of each tool call with step and role."""

    asked: Callable[[Asked], None]
    tool: Callable[[int, str, ToolUse], None]


class ModelPort:
    """Asks one model. Threads may share a port; the breaker's state is the port's own.

    ``abilities`` are what is known of the endpoint. Where they are not and ``learn`` is
    given, the first ask probes it, within the limits, and hands over what it found.
    ``record_tool`` hears of every tool call, with the step and the role of the question.
    """

    def __init__(
        self,
        profile: Profile,
        limits: Limits,
        breaker: Breaker | None = None,
        transport: Transport | None = None,
        *,
        ledger: Callable[[Asked], None] | None = None,
        abilities: Abilities | None = None,
        learn: Callable[[Abilities], None] | None = None,
        record_tool: Callable[[int, str, ToolUse], None] = _forget,
    ) -> None:
        self.profile = profile
        self.limits = limits
        self.abilities = abilities
        self._price = price_of(profile)
        self._ledger = ledger or _forget
        self._record_tool = record_tool
        self._learn = learn
        self._takes_tools = True  # until it refuses them, where its abilities are not known
        self._tool_dialects: dict[frozenset[str], Dialect] = {}  # by the wishes sent
        self._probing = threading.Lock()
        self._endpoint = transport or Endpoint(profile)
        self._breaker = breaker or Breaker()
        self._dialects: dict[tuple[type[BaseModel], frozenset[str]], Dialect] = {}

    def __repr__(self) -> str:
        return f"ModelPort({self._endpoint!r})"

    def ask(self, question: Question[AnswerModel]) -> Answer[AnswerModel]:
        """The answer to a question. Raises :class:`ModelFailure`, and nothing else."""
        return self._ask(question, _Records(self._ledger, self._record_tool))

    def _ask(self, question: Question[AnswerModel], records: _Records) -> Answer[AnswerModel]:
        started = time.monotonic()
        tally = _Tally(self.limits.of_round(question.step))
        outcome = "interrupted"
        try:
            with self._breaker.ask(), tally.limits.waiting():
                self._get_to_know(tally)
                value, complaint = self._converse(question, tally, records)
            outcome = ANSWERED
        except BudgetSpent as spent:
            outcome = f"budget spent: {spent}"
            raise ModelFailure(outcome) from None
        except ModelFailure as failure:
            outcome = str(failure)
            raise
        finally:
            seconds = time.monotonic() - started
            records.asked(self._asked(question, tally, seconds, outcome))
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

    def _asked(
        self, question: Question[AnswerModel], tally: _Tally, seconds: float, outcome: str
    ) -> Asked:
        """One ask, for the ledger."""
        words = f"{self.profile.model}\n{question.temperature}\n{question.context}"
        return Asked(
            question.step,
            question.role,
            f"{zlib.crc32(words.encode('utf-8', 'replace')):08x}",
            self.profile.model,
            tally.attempts,
            tally.tokens_in,
            tally.tokens_out,
            seconds,
            tally.dollars,
            outcome,
        )

    def ask_all(
        self, questions: Sequence[Question[AnswerModel]]
    ) -> list[Answer[AnswerModel] | ModelFailure]:
        """The outcomes of independent questions, in their order, asked at the same time.

        At most MOST_AT_ONCE are in flight; budget and breaker are shared. Never raises. What
        is recorded of them stands in the order of the questions, whichever ends first.
        """
        kept: list[list[Callable[[], None]]] = [[] for _ in questions]

        def outcome(k: int) -> Answer[AnswerModel] | ModelFailure:
            records = _Records(
                lambda *said: kept[k].append(partial(self._ledger, *said)),
                lambda *said: kept[k].append(partial(self._record_tool, *said)),
            )
            try:
                return self._ask(questions[k], records)
            except ModelFailure as failure:
                return failure

        outcomes: list[Answer[AnswerModel] | ModelFailure] = []
        try:
            with ThreadPoolExecutor(MOST_AT_ONCE, "model") as threads:
                for found in threads.map(outcome, range(len(questions))):
                    outcomes.append(found)
                    _write_down(kept[len(outcomes) - 1])
        finally:
            for records in kept:  # of an interrupt, what was not written yet
                _write_down(records)
        return outcomes

    def _get_to_know(self, tally: _Tally) -> None:
        """Probe the endpoint where that is wanted: once. Where it fails, we go on without."""
        with self._probing:
            learn, self._learn = self._learn, None
            if learn is None or self.abilities is not None:
                return
            try:
                self.abilities = probe(
                    lambda messages, options: self._send(messages, options, tally),
                    self.profile.max_output_tokens,
                )
            except (EndpointFault, BudgetSpent) as error:
                _log.info("what %r can do is not known: %s", self._endpoint, error)
                return
            learn(self.abilities)

    def _converse(
        self, question: Question[AnswerModel], tally: _Tally, records: _Records
    ) -> tuple[AnswerModel, str]:
        """The answer after at most one correction by the model itself, and what is wrong yet."""
        messages = messages_of(
            question.role, question.instructions, question.context, question.answer
        )
        messages, text = answer_with_tools(
            messages,
            question.tools if self._may_take_tools else (),
            lambda sent, schemas: self._offer(sent, schemas, question, tally),
            self._endpoint.scrub,
            partial(records.tool, question.step, question.role),
        )
        if text is None:
            text = self._complete(messages, question, tally).content
        first: AnswerModel | None = None
        try:
            first = self._parse(text, question.answer)
            wrong = question.check(first) if question.check else ""
            if not wrong:
                return first, ""
        except _InvalidAnswer as invalid:
            wrong = str(invalid)
        try:
            corrected = self._complete(self._objected(messages, text, wrong), question, tally)
            second = self._parse(corrected.content, question.answer)
        except (_InvalidAnswer, ModelFailure, BudgetSpent) as error:
            if first is not None:  # valid in form: its caller takes what is right in it
                return first, wrong
            if not isinstance(error, _InvalidAnswer):
                raise
            reason = self._endpoint.scrub(f"invalid answer, twice: {error}")
            raise ModelFailure(reason) from None
        return second, question.check(second) if question.check else ""

    def _objected(self, messages: list[Message], text: str, wrong: str) -> list[Message]:
        """The conversation with what the model said, and what is wrong with it."""
        complaint = f"That answer is not valid: {wrong}. Answer again, with the JSON only."
        said = without_thinking(text).strip()[:LONGEST_QUOTED]
        turns = [("assistant", said)] if said else []
        return messages + [
            {"role": role, "content": sendable(self._endpoint.scrub(words))}
            for role, words in [*turns, ("user", complaint)]
        ]

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

    def _complete(
        self, messages: Sequence[Message], question: Question[AnswerModel], tally: _Tally
    ) -> Completion:
        """A whole answer, in the form that the endpoint takes."""
        answer, wishes = question.answer, question.wishes
        kind = (answer, frozenset(wishes))
        proven = self._dialects.get(kind)
        dialect = proven or Dialect.of(self.abilities)
        refusals: frozenset[int] = frozenset() if proven else ASKS_FOR_LESS
        if not proven and self.abilities is None:
            refusals |= {500}  # so llama-cpp-python answers to a response_format it lacks
        while True:
            options = dialect.options(answer, self.profile.max_output_tokens, wishes)
            last = dialect.step_down("", answer, wishes) is None
            try:
                completion = self._send_patiently(
                    messages, options, tally, but=frozenset() if last else refusals
                )
                break
            except EndpointFault as fault:
                can_less = fault.status in refusals
                less = dialect.step_down(fault.reason, answer, wishes) if can_less else None
                if less is None:
                    raise ModelFailure(fault.reason) from None
                dialect = less
        self._dialects[kind] = dialect
        return self._whole(completion)

    @property
    def _may_take_tools(self) -> bool:
        return self._takes_tools if self.abilities is None else self.abilities.tools

    def _offer(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]],
        question: Question[AnswerModel],
        tally: _Tally,
    ) -> Completion | None:
        """An answer in any form, or calls of ``tools``; None where the endpoint refuses them."""
        answer, wishes = question.answer, question.wishes
        proven = self._tool_dialects.get(frozenset(wishes))
        dialect = proven or replace(Dialect.of(self.abilities), form="text")
        while True:
            options = dialect.options(answer, self.profile.max_output_tokens, wishes)
            try:
                completion = self._send_patiently(
                    messages, {**options, "tools": list(tools)}, tally, but=ASKS_FOR_LESS
                )
                self._tool_dialects[frozenset(wishes)] = dialect
                return self._whole(completion)
            except EndpointFault as fault:
                if proven or self.abilities is not None or fault.status not in _REFUSES_TOOLS:
                    raise ModelFailure(fault.reason) from None
                less = dialect.step_down(fault.reason, answer, wishes)
                if less is None:
                    self._takes_tools = False
                    return None
                dialect = less

    def _whole(self, completion: Completion) -> Completion:
        """The completion, where nothing of it is withheld, cut off or out of all bounds."""
        if completion.refusal or completion.finish_reason == "content_filter":
            raise ModelFailure("refused by the model")
        if completion.finish_reason == "length":
            most = self.profile.max_output_tokens
            raise ModelFailure(f"truncated at {most} tokens: max_output_tokens of the profile")
        if len(completion.content) > LARGEST_ANSWER_CHARACTERS:
            raise ModelFailure(f"enormous answer: {len(completion.content)} characters")
        return completion

    def _send_patiently(
        self,
        messages: Sequence[Message],
        options: Mapping[str, object],
        tally: _Tally,
        *,
        but: frozenset[int] = frozenset(),
    ) -> Completion:
        """One request, sent again where that may help, but not after the statuses ``but``.

        Raises EndpointFault, BudgetSpent, and ModelFailure where the wait is not bearable.
        """
        retries = 0
        while True:
            try:
                return self._send(messages, options, tally)
            except EndpointFault as fault:
                hopeless = not fault.retryable or fault.status in but
                if hopeless or retries == self.profile.max_retries:
                    raise
                _wait(fault, retries)
                retries += 1

    def _send(
        self, messages: Sequence[Message], options: Mapping[str, object], tally: _Tally
    ) -> Completion:
        """One request, paid for. Raises EndpointFault and BudgetSpent."""
        most_out = self.profile.max_output_tokens
        for limit in (options.get(field) for field in LIMIT_FIELDS):
            most_out = limit if isinstance(limit, int) else most_out
        most_in = estimated_tokens(json.dumps([messages, options]))
        most = cost(self._price, most_in, most_out)
        with tally.limits.request(most_in + most_out, most) as charge:
            tally.attempts += 1
            try:
                completion = self._endpoint.send(messages, options)
            except EndpointFault as fault:
                if fault.billed:  # nobody knows how much: it stays at what was reserved
                    tally.add(most_in, most_out, most)
                else:
                    charge.used(0, 0.0)
                raise
            tokens_in, tokens_out = completion.tokens_in, completion.tokens_out
            if tokens_in is None or tokens_out is None:
                said = [completion.content, *(call.arguments for call in completion.calls)]
                tokens_in, tokens_out = most_in, estimated_tokens("".join(said))
            dollars = cost(self._price, tokens_in, tokens_out, completion.tokens_cached)
            charge.used(tokens_in + tokens_out, dollars)
            tally.add(tokens_in, tokens_out, dollars)
        return completion


def _write_down(records: list[Callable[[], None]]) -> None:
    """Write what was kept aside, once."""
    while records:
        records.pop(0)()


def _wait(fault: EndpointFault, retries: int) -> None:
    """Wait before sending again: as long as the server asks, within bounds."""
    seconds = FIRST_WAIT_S * 2**retries
    if fault.retry_after_s is not None:
        seconds = fault.retry_after_s
    if seconds > LONGEST_WAIT_S:
        raise ModelFailure(f"{fault.reason}; it asks to wait {seconds:.0f} s") from None
    time.sleep(seconds)
