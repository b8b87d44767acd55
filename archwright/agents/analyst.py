"""The analyst: after the search has frozen, the evaluator's model explains what came of it.

It is asked once, with tools, and its words are kept with the run: a report that is made
again shows the same ones. They are words only: every number of a report comes from
instruments, and figures in a sentence are checked before it is kept (``minds``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from archwright.agents.minds import Figures, Minded, Note, Offer, Sentence
from archwright.agents.model.port import ModelPort
from archwright.memory.archive import Archive

META = "explanation"
"""The name under which an archive keeps the explanation."""

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
        self,
        port: ModelPort,
        note: Note,
        figures: Figures | None = None,
        tools: Offer | None = None,
    ) -> None:
        super().__init__(port, note, figures and figures.at_the_end(), tools)

    def explain(self, archive: Archive, run: str, step: int, context: str) -> Explanation:
        """The model's explanation, asked for once in a run; ``step`` is that of its end.

        ``context`` says what the search came to. What the model could not be asked for is
        not asked for again: a report that is made anew needs no model.
        """
        kept = archive.meta(run, META)
        if kept is None:
            answer = self.ask(step, context, AnalystAnswer)
            sentences = tuple(words for words in answer.sentences if words) if answer else ()
            explanation = Explanation(self.mind, sentences)
            kept = archive.set_meta(run, META, explanation.to_plain())
        return Explanation.from_plain(kept)
