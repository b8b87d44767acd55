"""The analyst: after the search has frozen, the evaluator's model explains what came of it.

It is asked once, with tools, and its words are kept with the run: a report that is made
again shows the same ones. They are words only: every number of a report comes from
instruments, and what a sentence states passes :data:`Check` before it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from archwright.agents.minds import Minded, Note, Sentence
from archwright.agents.model.port import ModelPort
from archwright.agents.toolbox import Toolbox
from archwright.memory.archive import Archive

META = "explanation"
"""The name under which an archive keeps the explanation."""

Check = Callable[[str], str]
"""What is left of a sentence that a model wrote: all of it, or "" where it must not stand."""

Sentences = Annotated[list[Sentence], Field(min_length=1, max_length=2)]


@dataclass(frozen=True)
class Explanation:
    """A model's words on the result, and its name; no sentences where it gave no answer."""

    mind: str
    sentences: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """As a JSON table, for the archive."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Explanation:
        """What :meth:`to_plain` gave."""
        return cls(plain["mind"], tuple(plain["sentences"]))


class AnalystAnswer(BaseModel):
    """One or two sentences on each of three questions."""

    why_best: Sentences = Field(description="why the chosen design is what it is")
    bottleneck: Sentences = Field(description="what limits it on its hardware")
    next: Sentences = Field(description="what would be worth trying next")

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of them, in order."""
        return (*self.why_best, *self.bottleneck, *self.next)


class Analyst(Minded):
    """Explains a finished search in three to six sentences."""

    role = "evaluator"
    instructions = (
        "A search for a neural network and its accelerator has ended. Explain its result to "
        "the engineer who will build it: why the chosen design is what it is, where its "
        "bottleneck lies, what would be worth trying next. One or two short sentences each, "
        "in plain words; name choices of the spaces. Call tools first where they would show "
        "more. State no number that the data or a tool did not give."
    )

    def __init__(
        self, port: ModelPort, note: Note, toolbox: Toolbox, check: Check = lambda words: words
    ) -> None:
        super().__init__(port, note)
        self._toolbox, self._check = toolbox, check

    def explain(self, archive: Archive, run: str, step: int, context: str) -> Explanation:
        """The model's explanation, asked for once in a run; ``step`` is that of its end.

        ``context`` says what the search came to. What the model could not be asked for is
        not asked for again: a report that is made anew needs no model.
        """
        kept = archive.meta(run, META)
        if kept is None:
            tools = self._toolbox.for_role(self.role, step)
            answer = self.ask(step, context, AnalystAnswer, tools=tools)
            explanation = Explanation(self.mind, self._checked(answer.sentences if answer else ()))
            kept = archive.set_meta(run, META, explanation.to_plain())
        return Explanation.from_plain(kept)

    def _checked(self, sentences: Sequence[str]) -> tuple[str, ...]:
        """The one place that every sentence passes before anyone reads it."""
        return tuple(words for words in map(self._check, sentences) if words)
