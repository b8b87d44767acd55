"""Transcripts: what models were asked and what came back, written down and answered from again.

A transcript is a file of JSON lines. The first is a header: format, version of Archwright,
date, and of each model profile what a replay needs to ask in the same form (never a key, nor
the name of its variable). Then comes one line a request, in the order of the answers::

    {"kind": "request", "request": HASH, "occurrence": 0, "model": PROFILE, "asked": {...},
     "answer": {...} or "fault": {...}, "seconds": 1.2}

A request is found by its hash and its occurrence: how often the same was asked before, in
order of arrival. Beside that, a line ``abilities`` says what was found out of an endpoint and
a line ``recalled`` what the run recalled of other runs, which is part of what it asks.

A run that is resumed goes on in the same file with another header. Occurrences count anew
behind it, and what is asked again there replaces what was answered before: after a kill a
run asks again what it had not yet used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_serializer

from archwright import __version__
from archwright.agents.model.port import LONGEST_WAIT_S
from archwright.agents.model.wire import Completion, EndpointFault, Message, ToolCall
from archwright.border import complaint
from archwright.errors import UserError
from archwright.settings import Profile, ProfileName

FORMAT: Literal[1] = 1
LARGEST_TRANSCRIPT_BYTES = 256 * 2**20
LARGEST_LINE_BYTES = 16 * 2**20
"""Far above an answer of 2 MB, the most that an endpoint lets in."""

_WAITS_FOR_US = frozenset({"timeout"})
"""Options that say how long we wait: they are no part of what is asked."""
_log = logging.getLogger(__name__)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RecordedModel(_Row):
    """A model profile as it was, and what was known of its endpoint's abilities."""

    profile: Profile
    abilities: dict[str, Any] | None = None

    @field_serializer("profile")
    def _without_key(self, profile: Profile) -> dict[str, Any]:
        return profile.model_dump(mode="json", exclude={"key_variable"}, exclude_none=True)


class Header(_Row):
    """The first line of a transcript, and of each part that a resumed run adds."""

    kind: Literal["header"] = "header"
    format: Literal[1] = FORMAT
    archwright: str = Field(default=__version__, max_length=64)
    date: str = Field(max_length=64)
    models: dict[ProfileName, RecordedModel]


class RecordedAnswer(_Row):
    """A completion."""

    content: str
    refusal: str = ""
    finish_reason: str = ""
    tokens_in: int | None = Field(default=None, ge=0)
    tokens_out: int | None = Field(default=None, ge=0)
    tokens_cached: int = Field(default=0, ge=0)
    calls: tuple[tuple[str, str, str], ...] = ()
    """Tool calls: id, name and arguments of each."""

    @classmethod
    def of(cls, completion: Completion, scrub: Callable[[str], str]) -> RecordedAnswer:
        """The completion without secrets."""
        return cls(
            content=scrub(completion.content),
            refusal=scrub(completion.refusal),
            finish_reason=scrub(completion.finish_reason),
            tokens_in=completion.tokens_in,
            tokens_out=completion.tokens_out,
            tokens_cached=completion.tokens_cached,
            calls=tuple((scrub(c.id), scrub(c.name), scrub(c.arguments)) for c in completion.calls),
        )

    def completion(self) -> Completion:
        """What the port is given, now and at every replay."""
        calls = tuple(ToolCall(*call) for call in self.calls)
        return Completion(
            content=self.content,
            refusal=self.refusal,
            finish_reason=self.finish_reason,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            tokens_cached=self.tokens_cached,
            calls=calls,
        )


class RecordedFault(_Row):
    """A request that brought no completion."""

    reason: str
    status: int | None = None
    retry_after_s: float | None = Field(default=None, ge=0)
    retryable: bool = False
    billed: bool = False

    @classmethod
    def of(cls, fault: EndpointFault, scrub: Callable[[str], str]) -> RecordedFault:
        """The fault without secrets."""
        return cls(
            reason=scrub(fault.reason),
            status=fault.status,
            retry_after_s=fault.retry_after_s,
            retryable=fault.retryable,
            billed=fault.billed,
        )

    def fault(self, *, wait: bool = True) -> EndpointFault:
        """What the port is given. ``wait`` False: what it would wait for has long passed."""
        after_s = self.retry_after_s
        if not wait and self.retryable and (after_s is None or after_s <= LONGEST_WAIT_S):
            after_s = 0.0
        return EndpointFault(
            self.reason,
            status=self.status,
            retry_after_s=after_s,
            retryable=self.retryable,
            billed=self.billed,
        )


class Exchange(_Row):
    """One request and what came of it: an answer, or else a fault.

    ``asked`` (messages and options) is for a reader; an answer is found by the hash.
    """

    kind: Literal["request"] = "request"
    request: str = Field(pattern=r"^[0-9a-f]{64}$")
    occurrence: int = Field(ge=0)
    model: ProfileName
    asked: Any = None
    answer: RecordedAnswer | None = None
    fault: RecordedFault | None = None
    seconds: float = Field(ge=0)


class Found(_Row):
    """What was found out of an endpoint's abilities after the header was written."""

    kind: Literal["abilities"] = "abilities"
    model: ProfileName
    abilities: dict[str, Any]


class Recalled(_Row):
    """What the run recalled of other runs, and why some of those could not be read."""

    kind: Literal["recalled"] = "recalled"
    content: list[Any]
    skipped: list[str] = Field(default_factory=list)


Row = Annotated[Header | Exchange | Found | Recalled, Field(discriminator="kind")]
_ROW: TypeAdapter[Row] = TypeAdapter(Row)


@dataclass(frozen=True)
class Transcript:
    """A transcript that was read: models by profile name, exchanges by hash and occurrence."""

    path: Path
    models: Mapping[str, RecordedModel]
    exchanges: Mapping[str, Mapping[int, Exchange]]
    recalled: Recalled | None


def request_hash(
    name: str, model: str, messages: Sequence[Message], options: Mapping[str, object]
) -> str:
    """The hash of a request in its canonical form: JSON with sorted keys, in hex."""
    asked = {key: value for key, value in options.items() if key not in _WAITS_FOR_US}
    request = {"profile": name, "model": model, "messages": list(messages), "options": asked}
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def read_transcript(path: Path) -> Transcript:
    """The transcript at ``path``. A last line that a kill cut short is left out.

    Raises :class:`UserError`, one line, for a file that is missing, too large or damaged.
    """
    models: dict[str, RecordedModel] = {}
    exchanges: dict[str, dict[int, Exchange]] = {}
    recalled: Recalled | None = None
    asked_again: set[str] = set()
    for number, line in _lines(path):
        row = _read_row(path, number, line)
        if number == 1 and not isinstance(row, Header):
            raise _damaged(path, number, "it is no header")
        if isinstance(row, Header):
            models |= row.models
            asked_again = set()
        elif isinstance(row, Exchange):
            if (row.answer is None) == (row.fault is None):
                raise _damaged(path, number, "needs an answer or a fault, not both")
            if row.request not in asked_again:
                asked_again.add(row.request)
                exchanges[row.request] = {}
            exchanges[row.request][row.occurrence] = row
        elif isinstance(row, Found):
            if row.model not in models:
                raise _damaged(path, number, f"model = {row.model!r}: not in the header")
            models[row.model] = models[row.model].model_copy(update={"abilities": row.abilities})
        else:
            recalled = recalled or row  # as the archive: the first use counts
    if not models:
        raise _damaged(path, 1, "it is no header")
    return Transcript(path, models, exchanges, recalled)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file with their numbers, from 1."""
    try:
        if not path.is_file():
            raise UserError(f"{path}: no such transcript; record one: search BRIEF --record FILE")
        if path.stat().st_size > LARGEST_TRANSCRIPT_BYTES:
            raise UserError(f"{path}: allowed a transcript of {LARGEST_TRANSCRIPT_BYTES} bytes")
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LARGEST_LINE_BYTES):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == LARGEST_LINE_BYTES:
                        raise _damaged(path, number, f"over {LARGEST_LINE_BYTES} bytes")
                    return
                yield number, line
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _read_row(path: Path, number: int, line: bytes) -> Row:
    try:
        return _ROW.validate_python(json.loads(line))
    except ValidationError as error:
        raise _damaged(path, number, complaint(error)) from None
    except (ValueError, RecursionError):
        raise _damaged(path, number, "it is not JSON") from None


def _damaged(path: Path, number: int, what: str) -> UserError:
    return UserError(
        f"{path}: line {number}: {what}; allowed are lines of a transcript of format {FORMAT}"
    )


class Recorder:
    """Appends to a transcript, line by line. Usable from several threads.

    The file is made, with its header, when there is something to write. ``goes_on`` says that
    it may be there: the run is resumed. A run does not die of a disk that is full: what cannot
    be written is missing at a replay.
    """

    def __init__(
        self, path: Path, models: Mapping[str, RecordedModel], *, goes_on: bool = False
    ) -> None:
        self._path, self._models, self._goes_on = path, models, goes_on
        self._asked: Counter[str] = Counter()
        self._size: int | None = None
        self._full = False
        self._lock = threading.Lock()

    def occurrence(self, request: str) -> int:
        """How often this request was asked before."""
        with self._lock:
            self._asked[request] += 1
            return self._asked[request] - 1

    def write(self, row: Row) -> None:
        """Append one line and flush it."""
        with self._lock:
            if self._full:
                return
            try:
                if self._size is None:
                    self._size = self._begin()
                self._append(row)
            except OSError as error:
                self._stop(str(error.strerror))

    def _begin(self) -> int:
        """The size of the file behind its header."""
        going_on = self._goes_on and self._path.exists()
        if going_on:
            content = self._path.read_bytes()
            whole = content.rfind(b"\n") + 1
            with self._path.open("r+b") as file:
                file.truncate(whole)
        else:
            self._path.touch(exist_ok=False)
            whole = 0
        self._size = whole
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._append(Header(date=now, models=dict(self._models)))
        return self._size

    def _append(self, row: Row) -> None:
        plain = row.model_dump(mode="json", exclude_none=True)
        line = (json.dumps(plain) + "\n").encode("ascii")
        assert self._size is not None
        if self._size + len(line) > LARGEST_TRANSCRIPT_BYTES or len(line) > LARGEST_LINE_BYTES:
            self._stop("it would be too large to be read")
            return
        with self._path.open("ab") as file:
            file.write(line)
        self._size += len(line)

    def _stop(self, why: str) -> None:
        self._full = True
        _log.warning("%s: the transcript ends here: %s", self._path, why)
