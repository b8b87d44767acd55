"""Transports that record what they send, and that answer from what was recorded."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from archwright.agents.model.endpoint import Endpoint, Transport
from archwright.agents.model.transcript import (
    Exchange,
    RecordedAnswer,
    RecordedFault,
    Recorder,
    request_hash,
)
from archwright.agents.model.wire import Completion, EndpointFault, Message
from archwright.settings import Profile

NOT_THERE = "not in the transcript"
_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])|\\/")


class RecordingTransport:
    """Sends through another transport and records. What it gives on is what it recorded."""

    def __init__(self, name: str, transport: Transport, recorder: Recorder) -> None:
        self.profile = transport.profile
        self._name, self._transport, self._recorder = name, transport, recorder

    def scrub(self, text: str) -> str:
        """``text`` without any secret, also where JSON escapes hide one."""
        plain = _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if m[1] else "/", text)
        masked = self._transport.scrub(plain)
        return self._transport.scrub(text) if masked == plain else masked

    def send(self, messages: Sequence[Message], options: Mapping[str, object]) -> Completion:
        """One request. Raises :class:`EndpointFault`, and nothing else."""
        request = request_hash(self._name, self.profile.model, messages, options)
        occurrence, started = self._recorder.occurrence(request), time.monotonic()

        def record(**came: RecordedAnswer | RecordedFault) -> None:
            row: dict[str, Any] = {"asked": self._shown(messages, options), **came}
            seconds = round(time.monotonic() - started, 3)
            exchange = Exchange(
                request=request, occurrence=occurrence, model=self._name, seconds=seconds, **row
            )
            self._recorder.write(exchange)

        try:
            completion = self._transport.send(messages, options)
        except EndpointFault as endpoint_fault:
            fault = RecordedFault.of(endpoint_fault, self.scrub)
            record(fault=fault)
            raise fault.fault() from None
        answer = RecordedAnswer.of(completion, self.scrub)
        record(answer=answer)
        return answer.completion()

    def _shown(self, messages: Sequence[Message], options: Mapping[str, object]) -> Any:
        """The request for a reader, without secrets."""
        return self._scrubbed({"messages": list(messages), "options": dict(options)})

    def _scrubbed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.scrub(value)
        if isinstance(value, Mapping):
            return {key: self._scrubbed(item) for key, item in value.items()}
        return (
            [self._scrubbed(item) for item in value] if isinstance(value, list | tuple) else value
        )


class ReplayTransport:
    """Answers from a transcript: no endpoint, no key, no waiting."""

    def __init__(
        self, name: str, profile: Profile, exchanges: Mapping[str, Mapping[int, Exchange]]
    ) -> None:
        self.profile = profile
        self._name, self._exchanges = name, exchanges
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def scrub(self, text: str) -> str:
        """``text`` without anything shaped like a key, as when it was recorded."""
        return Endpoint(self.profile).scrub(text)

    def send(self, messages: Sequence[Message], options: Mapping[str, object]) -> Completion:
        """What was answered then. Raises :class:`EndpointFault`, also for what is not there."""
        request = request_hash(self._name, self.profile.model, messages, options)
        with self._lock:
            occurrence = self._asked[request]
            self._asked[request] += 1
        exchange = self._exchanges.get(request, {}).get(occurrence)
        if exchange is None:
            raise EndpointFault(NOT_THERE)
        if exchange.answer is None:
            assert exchange.fault is not None
            raise exchange.fault.fault(wait=False)
        return exchange.answer.completion()
