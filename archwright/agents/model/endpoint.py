"""One request to a chat-completions endpoint, and every way in which it can go wrong.

Knows nothing of roles, budgets and retries: it sends once, within a time limit and a
size limit, and gives a :class:`Completion` or raises an :class:`EndpointFault`. The
answering server is not trusted, and the key never leaves this file except to it.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from archwright.agents.model.secret import without_secret
from archwright.agents.model.wire import (
    Completion,
    EndpointFault,
    Message,
    Piece,
    read_completion,
    read_piece,
    whole,
)
from archwright.settings import Profile

if TYPE_CHECKING:
    import httpx2
    import openai

LARGEST_BODY_BYTES = 2_000_000
LONGEST_CONNECT_S = 10.0
LONGEST_IDLE_S = 30.0
"""How long a connection is kept for the next request."""
MOST_CONNECTIONS = 16
BROKEN_OFF = "the answer broke off: its stream ended early"
LOOPBACK_ONLY = "ARCHWRIGHT_LOOPBACK_ONLY"
"""Environment variable; at 1 no request leaves this machine. Set by the tests."""

_LONGEST_TAIL = 64
_DONE = re.compile(rb"(?:^|\n)data:\s*\[DONE\]\s*\Z")
_HOPELESS = {
    "content_filter": "refused by the endpoint's content filter",
    "context_length_exceeded": "the prompt is longer than the model's context",
    "insufficient_quota": "the account's quota is spent",
    "exceed_context_size_error": "the prompt is longer than the model's context",  # llama.cpp
}
"""Codes of an error that no other form of the same request would mend."""


class _TooLarge(Exception):
    """A body above LARGEST_BODY_BYTES, or compressed, so that its size is not known."""


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Transport(Protocol):
    """Sends one request to a model: an endpoint, or what stands in for one."""

    profile: Profile

    def send(self, messages: Sequence[Message], options: Mapping[str, object]) -> Completion:
        """One request. Raises :class:`EndpointFault`, and nothing else."""
        ...

    def scrub(self, text: str) -> str:
        """``text`` without any secret that this knows."""
        ...


class Endpoint:
    """Sends requests as a profile says. Threads may share it; connections are reused."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._client: openai.OpenAI | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Endpoint({self.profile.base_url!r}, model={self.profile.model!r})"

    def scrub(self, text: str) -> str:
        """``text`` without the key and without anything shaped like one."""
        return without_secret(text, self._key())

    def send(self, messages: Sequence[Message], options: Mapping[str, object]) -> Completion:
        """One request. ``options`` are further fields of the chat-completions body.

        With ``stream`` among them the answer comes piece by piece and is given whole.
        Raises :class:`EndpointFault`, and nothing else.
        """
        if options.get("stream"):
            return whole(self.stream(messages, options))
        self._check_allowed()
        with self._faults():
            text = self._post(messages, options)
        return read_completion(text)

    def stream(
        self, messages: Sequence[Message], options: Mapping[str, object]
    ) -> Generator[Piece, None, None]:
        """One request whose answer comes piece by piece.

        A stream that ends without a finish reason and without ``[DONE]`` was cut: that is
        a fault after its last piece. Raises :class:`EndpointFault`, and nothing else.
        """
        self._check_allowed()
        create: Any = self._connected().chat.completions.create
        fields = {**options, "model": self.profile.model, "messages": list(messages)}
        ended = False
        with self._faults(), create(**{**fields, "stream": True}) as chunks:
            for chunk in chunks:
                piece = read_piece(chunk)
                ended = ended or bool(piece.finish_reason)
                yield piece
            if not ended and not _said_done(chunks.response):
                raise EndpointFault(BROKEN_OFF, billed=True)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What the client raises as the fault that it stands for."""
        try:
            yield
        except EndpointFault:
            raise
        except _TooLarge:
            reason = f"enormous answer: more than {LARGEST_BODY_BYTES} bytes, or compressed"
            raise EndpointFault(reason, billed=True) from None
        except Exception as error:  # noqa: BLE001 - whatever the client raises, a run goes on
            raise self._fault(error) from None

    def _check_allowed(self) -> None:
        if os.environ.get(LOOPBACK_ONLY) == "1" and not is_loopback(self.profile.base_url):
            raise EndpointFault(f"refused: {LOOPBACK_ONLY}=1 and base_url is another machine's")
        variable, key = self.profile.key_variable, self._key()
        if variable and not key:
            raise EndpointFault(f"no key: environment variable {variable} is not set")
        if not key.isascii() or not key.isprintable():
            raise EndpointFault(f"no key: {variable} holds characters that no key has")

    def _key(self) -> str:
        variable = self.profile.key_variable
        return os.environ.get(variable, "").strip() if variable else ""

    def _post(self, messages: Sequence[Message], options: Mapping[str, object]) -> str:
        create: Any = self._connected().chat.completions.with_raw_response.create
        return str(create(model=self.profile.model, messages=list(messages), **options).text)

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = _open_client(self.profile, self._key() or "none")
            return self._client

    def _fault(self, error: Exception) -> EndpointFault:
        """The fault that an exception of the client stands for."""
        import httpx2
        import openai

        unsent = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
        if isinstance(error, openai.APITimeoutError) and not unsent:
            # Not sent again: a second time-out would only double what the step waits.
            return EndpointFault(f"time-out after {self.profile.timeout_s:g} s", billed=True)
        if isinstance(error, openai.APIStatusError):
            for kind in (error.code, error.type):
                if kind in _HOPELESS:
                    return EndpointFault(_HOPELESS[kind])
            status = error.status_code
            said = _one_line(self.scrub(_server_words(error)))
            return EndpointFault(
                f"HTTP {status}: {said}" if said else f"HTTP {status}",
                status=status,
                retry_after_s=_retry_after_s(error.response.headers),
                retryable=status == 429 or status >= 500,
            )
        if isinstance(error, openai.APIConnectionError):
            reason = "could not connect" if unsent else "connection dropped"
            return EndpointFault(reason, retryable=True, billed=not unsent)
        if isinstance(error, openai.APIError):  # an error instead of a piece of a stream
            said = _one_line(self.scrub(error.message))
            return EndpointFault(f"the answer broke off: {said}", billed=True)
        return EndpointFault(f"request failed: {type(error).__name__}")


def _open_client(profile: Profile, key: str) -> openai.OpenAI:
    """A client with explicit limits, which takes nothing from OPENAI_* variables."""
    import httpx2
    import openai

    http_client = openai.DefaultHttpxClient(
        follow_redirects=False,  # a redirect would carry the prompt to another host
        trust_env=not is_loopback(profile.base_url),  # no proxy between us and ourselves
        event_hooks={"response": [_response_guard(profile.timeout_s)]},
        limits=httpx2.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=LONGEST_IDLE_S),
    )
    client = openai.OpenAI(
        base_url=profile.base_url,
        api_key=key,
        default_headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
        timeout=openai.Timeout(
            profile.timeout_s, connect=min(profile.timeout_s, LONGEST_CONNECT_S)
        ),
        max_retries=0,  # retries are the port's: they count in budgets and wait with bounds
        http_client=http_client,
    )
    client.organization = client.project = None
    return client


def _response_guard(timeout_s: float) -> Callable[[httpx2.Response], None]:
    """A hook that bounds the size of every body and the time that it may trickle in."""
    import httpx2

    class BoundedStream(httpx2.SyncByteStream):
        def __init__(self, stream: httpx2.SyncByteStream) -> None:
            self._stream = stream
            self.tail = b""

        def __iter__(self) -> Iterator[bytes]:
            received, deadline = 0, time.monotonic() + timeout_s
            for chunk in self._stream:
                received += len(chunk)
                if received > LARGEST_BODY_BYTES:
                    raise _TooLarge
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout("the body trickled in too slowly")
                self.tail = (self.tail + chunk[-_LONGEST_TAIL:])[-_LONGEST_TAIL:]
                yield chunk

        def close(self) -> None:
            self._stream.close()

    def guard(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _TooLarge  # we asked for plain bytes: unpacked it could have any size
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = BoundedStream(response.stream)

    return guard


def _said_done(response: httpx2.Response) -> bool:
    """Whether a stream's body, read to its end, closed with ``[DONE]``."""
    return bool(_DONE.search(getattr(response.stream, "tail", b"")))


def _server_words(error: openai.APIStatusError) -> str:
    """What the server said about an error status."""
    if isinstance(error.body, dict):
        return str(error.body.get("message") or "")
    return error.response.text if "json" in error.response.headers.get("content-type", "") else ""


def _one_line(text: str, longest: int = 200) -> str:
    """``text`` as one printable line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:10_000]).split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait that a server asks for, in seconds; the header holds seconds or a date."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
