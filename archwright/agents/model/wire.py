"""What a chat-completions server says, checked: completions, pieces of streamed ones, faults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

Message = Mapping[str, object]

MOST_CALLS = 32
"""Tool calls read from one answer; further ones are left out."""
LONGEST_ARGUMENTS = 20_000
"""Characters of one call's arguments."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # what servers take back as a name or an id


@dataclass(frozen=True)
class CallPiece:
    """A piece of a tool call in a streamed answer: pieces with one index belong together."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Piece:
    """A piece of a streamed answer. Token counts come with the last one, where they come."""

    text: str = ""
    calls: tuple[CallPiece, ...] = ()
    finish_reason: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True)
class ToolCall:
    """A tool that the model wants called; ``arguments`` is JSON as it wrote it, unchecked.

    ``id`` is unique among the calls of an answer; it and ``name`` can be sent back safely:
    1 to 64 letters, digits, ``_``, ``.`` and ``-``. ``name`` need not be a tool's.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Completion:
    """What a server answered. Token counts are None where it did not (credibly) tell.

    ``tokens_cached`` of ``tokens_in`` came from the server's prompt cache.
    """

    content: str
    refusal: str
    finish_reason: str
    tokens_in: int | None
    tokens_out: int | None
    calls: tuple[ToolCall, ...] = ()
    tokens_cached: int = 0


class EndpointFault(Exception):
    """A request that brought no completion. ``reason`` is one short line without secrets.

    ``status`` is the HTTP status where there was one, ``retry_after_s`` how long the
    server wants us to wait, ``retryable`` whether sending again may help, ``billed``
    whether tokens may have been used.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        retryable: bool = False,
        billed: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after_s = retry_after_s
        self.retryable = retryable
        self.billed = billed


class _Function(BaseModel):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # some servers send the object itself


class _Called(BaseModel):
    id: str | None = None
    function: _Function


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Called] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0, le=10**9)
    completion_tokens: int = Field(ge=0, le=10**9)
    prompt_tokens_details: Any = None

    @property
    def cached(self) -> int:
        """Tokens in that came from a cache, as far as that is told credibly."""
        details = self.prompt_tokens_details
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        if isinstance(cached, int) and 0 <= cached <= self.prompt_tokens:
            return cached
        return 0


class _Body(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None


class _FunctionPiece(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _Call(BaseModel):
    index: int = Field(ge=0, le=100)
    id: str | None = None
    function: _FunctionPiece


class _Delta(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _StreamedChoice(BaseModel):
    delta: _Delta
    finish_reason: str | None = None


class _Chunk(BaseModel):
    choices: list[_StreamedChoice] = []
    usage: Any = None


def read_completion(text: str) -> Completion:
    """A completion from a response body; extra fields are ignored."""
    try:
        body = _Body.model_validate_json(text)
    except ValidationError:
        raise EndpointFault("the server's answer is not a chat completion", billed=True) from None
    choice = body.choices[0]
    try:
        usage = _Usage.model_validate(body.usage)
    except ValidationError:
        usage = None
    return Completion(
        content=choice.message.content or "",
        refusal=choice.message.refusal or "",
        finish_reason=choice.finish_reason or "",
        tokens_in=usage.prompt_tokens if usage else None,
        tokens_out=usage.completion_tokens if usage else None,
        tokens_cached=usage.cached if usage else 0,
        calls=_calls(
            [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls or ()]
        ),
    )


def whole(pieces: Iterable[Piece]) -> Completion:
    """The completion that a streamed answer comes to."""
    text, finish_reason = "", ""
    tokens: tuple[int | None, int | None] = (None, None)
    calls: dict[int, tuple[str, str, str]] = {}
    for piece in pieces:
        text += piece.text
        finish_reason = piece.finish_reason or finish_reason
        if piece.tokens_in is not None:
            tokens = (piece.tokens_in, piece.tokens_out)
        for part in piece.calls:
            known = calls.get(part.index, ("", "", ""))
            calls[part.index] = (
                known[0] or part.id,
                known[1] or part.name,
                known[2] + part.arguments,
            )
    return Completion(
        text, "", finish_reason, *tokens, _calls([calls[index] for index in sorted(calls)])
    )


def _calls(
    said: Sequence[tuple[str | None, str | None, str | dict[str, Any] | None]],
) -> tuple[ToolCall, ...]:
    """Tool calls made safe to keep and to send back. Raises EndpointFault where one is enormous."""
    calls: dict[str, ToolCall] = {}
    for number, (given, name, arguments) in enumerate(said[:MOST_CALLS]):
        given = given or ""
        id_ = given if _NAME.fullmatch(given) and given not in calls else f"call_{number}"
        while id_ in calls:
            id_ += "_"
        text = json.dumps(arguments) if isinstance(arguments, dict) else arguments or ""
        if len(text) > LONGEST_ARGUMENTS:
            reason = f"enormous answer: a tool call with {len(text)} characters of arguments"
            raise EndpointFault(reason, billed=True)
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", (name or "")[:64]) or "unnamed"
        calls[id_] = ToolCall(id_, safe, text)
    return tuple(calls.values())


def read_piece(chunk: BaseModel) -> Piece:
    """A piece of the answer from a chunk, which the client has not validated."""
    try:
        body = _Chunk.model_validate(chunk.model_dump(warnings=False))
    except ValidationError:
        raise EndpointFault("the server's answer is not a chat completion", billed=True) from None
    try:
        usage = _Usage.model_validate(body.usage)
    except ValidationError:
        usage = None
    tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
    if not body.choices:
        return Piece("", (), "", *tokens)
    choice = body.choices[0]
    calls = tuple(
        CallPiece(c.index, c.id or "", c.function.name or "", c.function.arguments or "")
        for c in choice.delta.tool_calls or ()
    )
    text = (choice.delta.content or "") + (choice.delta.refusal or "")
    return Piece(text, calls, choice.finish_reason or "", *tokens)
