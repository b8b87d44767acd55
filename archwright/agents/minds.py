"""What every model-backed mind does: ask its model, and leave the step to the rules when it fails.

A model's answer passes through a pydantic model with bounds, and its words through a check
of the figures they state: what nothing measured goes no further than the event log. Whatever
goes wrong is recorded with its reason; a run never dies of a model.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, Field

from archwright.agents.claims import (
    NOTHING_KNOWN,
    FalseClaim,
    Known,
    bounds_of,
    checked,
    known_values,
)
from archwright.agents.figures import figures
from archwright.agents.model.port import ModelPort
from archwright.agents.model.question import OfferedTool, Question
from archwright.brief import Brief
from archwright.design import Design
from archwright.errors import ModelFailure
from archwright.events import Event, EventLog, Plain
from archwright.memory.lessons import plain_text
from archwright.memory.reader import ArchiveReader
from archwright.space import Point

ANSWERED_INSTEAD = "answered instead of the model"
WENT_WITHOUT = "went without one of several answers"
FLAGGED = "flagged"
"""The kind of event that keeps words with a false claim, as the model said them."""
LONGEST_SENTENCE = 300
LONGEST_ANSWER = 500
"""Of an answer, where a decision is noted."""
AFTER_EVERY_STEP = 10**9
LONGEST_REASON = 80
"""Of a design's reason, in a table of many."""


def _plain(text: str) -> str:
    return plain_text(text, LONGEST_SENTENCE)


# No lone surrogates or control characters: no file, database or terminal takes harm from it.
Sentence = Annotated[str, Field(max_length=LONGEST_SENTENCE), AfterValidator(_plain)]
"""A model's words, on one line of plain characters."""

LARGEST_BATCH = 64
Position = Annotated[int, Field(ge=0, lt=LARGEST_BATCH)]
"""Which design of a batch, counted from 0."""

Answer = TypeVar("Answer", bound=BaseModel)


class Note(Protocol):
    """Records what a role decided: step, role, mind, decision, reason."""

    def __call__(self, step: int, role: str, mind: str, decision: str, reason: str) -> None:
        """Write it down."""
        ...


@dataclass(frozen=True)
class Voice:
    """In which of several ways one question is asked: its last words, and the wishes."""

    name: str = ""
    words: str = ""
    temperature: float | None = None
    seed: int | None = None


PLAIN_VOICE = Voice()

ESTIMATING = ("estimate_accuracy", "recall_designs")
"""Tools whose figures are expectations and memories: nobody may state them as measured."""
Offer = Callable[[str, int], Sequence[OfferedTool]]
"""The tools that a role may call in a step."""


def no_tools(role: str, step: int) -> Sequence[OfferedTool]:
    """For models that are offered none."""
    return ()


class _Overheard:
    """A tool whose results are kept: figures in them may be stated, but for estimates."""

    def __init__(self, tool: OfferedTool, heard: list[str]) -> None:
        self.name, self.schema = tool.name, tool.schema
        self._tool, self._heard = tool, heard

    def call(self, arguments: str) -> str:
        """The tool's result."""
        result = self._tool.call(arguments)
        if self.name not in ESTIMATING:
            self._heard.append(result)
        return result


@dataclass(frozen=True)
class Figures:
    """What figures in a model's words are checked against, and who hears of false ones.

    ``known(step)`` is what was measured before a step; ``flag`` gets step, role, mind, the
    words as the model said them, and the claim. Without either no figure stands.
    """

    known: Callable[[int], Known] = lambda step: NOTHING_KNOWN
    flag: Callable[[int, str, str, str, FalseClaim], None] = lambda *said: None

    def at_the_end(self) -> Figures:
        """The same over all that a run has measured, whatever the step."""
        return replace(self, known=lambda step: self.known(AFTER_EVERY_STEP))

    @classmethod
    def of_run(cls, run: str, archive: ArchiveReader, brief: Brief, events: EventLog) -> Figures:
        """What ``run`` has measured, and its event log."""

        @lru_cache(maxsize=1)  # the rows before a step stay as they are
        def known(step: int) -> Known:
            return known_values(archive.values(run, before_step=step), bounds_of(brief.constraints))

        def flag(step: int, role: str, mind: str, text: str, claim: FalseClaim) -> None:
            label = f"{role}/{zlib.crc32(f'{claim.words}/{text}'.encode()):08x}"
            said: dict[str, Plain] = {"role": role, "mind": mind, "text": text}
            metric, stated = claim.figure.metric, claim.figure.value
            said |= {"claim": claim.words, "metric": metric, "stated": stated}
            events.record(Event(FLAGGED, step, label, {**said, "nearest": claim.nearest}))

        return cls(known, flag)


class Minded:
    """Base of the model-backed minds. ``role`` and ``instructions`` are the fixed part."""

    role: ClassVar[str]
    instructions: ClassVar[str]

    def __init__(
        self,
        port: ModelPort,
        note: Note,
        figures: Figures | None = None,
        tools: Offer | None = None,
    ) -> None:
        self._port = port
        self._note = note
        self._figures = figures or Figures()
        self._tools = tools or no_tools

    def ask(
        self,
        step: int,
        context: str,
        answer: type[Answer],
        check: Callable[[Answer], str] | None = None,
    ) -> Answer | None:
        """The model's answer, or None (recorded) when the rules must answer this step."""
        question, heard = self._question(step, context, answer, check)
        try:
            reply = self._port.ask(question)
        except ModelFailure as failure:
            self._note(step, self.role, "rules", ANSWERED_INSTEAD, str(failure))
            return None
        return self._taken(step, reply.value, heard)

    def ask_voices(
        self,
        step: int,
        context: str,
        answer: type[Answer],
        voices: Sequence[Voice],
        check: Callable[[Answer], str] | None = None,
    ) -> list[Answer]:
        """The model's answers in several voices, asked at the same time.

        Without those that failed (recorded). None is left when the rules must answer.
        """
        asked = [self._question(step, context, answer, check, voice) for voice in voices]
        replies = self._port.ask_all([question for question, _ in asked])
        failures = [reply for reply in replies if isinstance(reply, ModelFailure)]
        if len(failures) == len(replies):
            reasons = "; ".join(dict.fromkeys(map(str, failures)))
            self._note(step, self.role, "rules", ANSWERED_INSTEAD, reasons)
            return []
        answers = []
        for voice, (_, heard), reply in zip(voices, asked, replies, strict=True):
            if isinstance(reply, ModelFailure):
                said = f"{voice.name}: {reply}"
                self._note(step, self.role, "rules", WENT_WITHOUT, said)
            else:
                answers.append(self._taken(step, reply.value, heard, f"{voice.name}: "))
        return answers

    def _question(
        self,
        step: int,
        context: str,
        answer: type[Answer],
        check: Callable[[Answer], str] | None,
        voice: Voice = PLAIN_VOICE,
    ) -> tuple[Question[Answer], list[str]]:
        """What is asked, and the list that its tools' results come into."""
        heard: list[str] = []
        tools = [_Overheard(tool, heard) for tool in self._tools(self.role, step)]
        question = Question(
            step,
            self.role,
            self.instructions,
            # So that no two questions are the same where an endpoint takes no temperature.
            f"{context}\n{voice.words}" if voice.words else context,
            answer,
            check,
            tools,
            voice.temperature,
            voice.seed,
        )
        return question, heard

    def _taken(self, step: int, said: Answer, heard: Sequence[str], who: str = "") -> Answer:
        """An answer with its figures checked, noted; ``who`` begins the note."""
        value = self._truthful(step, said, heard)
        self._note(step, self.role, self.mind, "answered", f"{who}{_spelled(value)}")
        return value

    def _truthful(self, step: int, value: Answer, heard: Sequence[str]) -> Answer:
        """The answer, in all of its words, without figures that no tool gave.

        ``heard`` are the results of the tools that were called for it.
        """

        def clean(text: str) -> str:
            if not figures(text):
                return text
            found = checked(text, self._figures.known(step).with_results(heard))
            for claim in found.flagged:
                self._figures.flag(step, self.role, self.mind, text, claim)
            return found.text if not found.flagged else _plain(found.text)

        truthful: Answer = _in_every_text(value, clean)
        return truthful

    @property
    def mind(self) -> str:
        """The name under which this mind's words are recorded."""
        return f"model/{self._port.profile.model}"


def quoted(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """Words of a user, a model or another run: one line between quotation marks it cannot close."""
    return json.dumps(plain_text(text, longest), ensure_ascii=False)


def in_words(designs: Sequence[Design]) -> Iterator[str]:
    """Designs of one space as a table for a model to read: each network, and why it is there."""
    names = list(designs[0].network) if designs else []
    yield f"number | {' '.join(names)} | why"
    for number, design in enumerate(designs):
        values = " ".join(str(design.network[name]) for name in names)
        yield f"{number} | {values} | {quoted(design.origin.reason, LONGEST_REASON)}"


def one_in_words(design: Design) -> str:
    """A design on one line, for a model to read: network, hardware, and why it was proposed."""
    network, hardware = _values(design.network), _values(design.hardware)
    return f"network {network}, hardware {hardware}, reason {quoted(design.origin.reason)}"


def _spelled(answer: BaseModel) -> str:
    """An answer on one line, by its fields."""
    text = json.dumps(answer.model_dump(mode="json", by_alias=True), ensure_ascii=False)
    text = plain_text(text.replace('"', "")[1:-1], LONGEST_ANSWER + 1)
    return text if len(text) <= LONGEST_ANSWER else f"{text[: LONGEST_ANSWER - 3]}..."


def _in_every_text(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, BaseModel):
        fields = {name: _in_every_text(inside, change) for name, inside in value}
        return value.model_copy(update=fields)
    if isinstance(value, Mapping):
        return {name: _in_every_text(inside, change) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_every_text(inside, change) for inside in value)
    return value


def _values(point: Point) -> str:
    return " ".join(f"{name}={value}" for name, value in point.items())
