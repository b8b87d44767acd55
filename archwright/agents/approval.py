"""The user's word on proposed designs, where a brief asks for approval before evaluation.

The word is kept in the archive under the step and attempt it was given for, so that a run
that is killed does not ask twice. What it does not name is approved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from archwright.agents.problem import Problem, fits
from archwright.design import Design, Origin
from archwright.memory.archive import Archive
from archwright.memory.lessons import plain_text
from archwright.memory.reader import ArchiveReader
from archwright.memory.records import Proposal, Verdict
from archwright.space import Value

ATTEMPTS = 2
"""A batch is proposed once more where the critic or the user leaves too little of it."""
EDITS = 100
"""Designs that the user edited stand in the archive as an attempt of their own, from here."""
LONGEST_REASON = 200


class EditedDesign(BaseModel):
    """What the user wants instead of a proposed design."""

    network: dict[str, Value]
    hardware: dict[str, Value]

    def design(self, proposed: str, problem: Problem) -> Design:
        """As a design of the user's, made from the one with the key ``proposed``.

        With the spaces' own values (8 for 8.0); as it is where it lies outside.
        """
        network, hardware = (
            space.decode(space.encode([point]))[0] if fits(space, point) else point
            for space, point in (
                (problem.network_space, self.network),
                (problem.hardware_space, self.hardware),
            )
        )
        return Design(network, hardware, Origin("user", "edited by the user", (proposed,)))


class Word(BaseModel):
    """Rejected designs with the reason, edited ones, and a note for the proposer."""

    rejected: dict[str, str] = Field(default_factory=dict)
    edited: dict[str, EditedDesign] = Field(default_factory=dict)
    note: str = ""

    def decisions(self) -> list[tuple[str, str]]:
        """Each decision with its reason, for the record."""
        rejected = [(f"rejected {key}", reason) for key, reason in self.rejected.items()]
        edited = [(f"edited {key}", "evaluated with other choices") for key in self.edited]
        return [*rejected, *edited, *([("note", self.note)] if self.note else [])]


def make_word(
    rejected: Mapping[str, str], edited: Mapping[str, Design], note: str = ""
) -> dict[str, Any]:
    """A word as JSON, its texts short and plain."""
    word = Word(
        rejected={key: plain_text(reason, LONGEST_REASON) for key, reason in rejected.items()},
        edited={
            key: EditedDesign(network=dict(d.network), hardware=dict(d.hardware))
            for key, d in edited.items()
        },
        note=plain_text(note, LONGEST_REASON),
    )
    return word.model_dump(mode="json")


def give_word(archive: Archive, run: str, step: int, attempt: int, word: dict[str, Any]) -> None:
    """Keep the user's word; the first one for a step and attempt stays."""
    archive.set_meta(run, _name(step, attempt), word)


def word_for(archive: ArchiveReader, run: str, step: int, attempt: int) -> Word | None:
    """The user's word on a batch; None while it was not given."""
    plain = archive.meta(run, _name(step, attempt))
    return None if plain is None else Word.model_validate(plain)


def rejected_designs(
    archive: ArchiveReader, run: str, before_step: int, attempts: int = 0
) -> list[tuple[Design, str]]:
    """What the user rejected before a step, and in that step's first ``attempts``; with reasons."""
    found = []
    for word in _words(archive, run, before_step, attempts):
        for key, reason in word.rejected.items():
            design = archive.design(run, key)
            if design is not None:
                found.append((design, reason))
    return found


def notes_given(
    archive: ArchiveReader, run: str, before_step: int, attempts: int = 0
) -> tuple[str, ...]:
    """What the user said beside the verdicts, up to the same point; each text once, in order."""
    words = _words(archive, run, before_step, attempts)
    return tuple(dict.fromkeys(word.note for word in words if word.note))


def _words(archive: ArchiveReader, run: str, before_step: int, attempts: int) -> Iterator[Word]:
    """The words on all batches before a step, and on that step's first ``attempts``."""
    places = [(step, attempt) for step in range(before_step) for attempt in range(ATTEMPTS)]
    places += [(before_step, attempt) for attempt in range(attempts)]
    for step, attempt in places:
        word = word_for(archive, run, step, attempt)
        if word is not None:
            yield word


def waiting_batch(archive: ArchiveReader, run: str) -> tuple[int, int, list[Design]] | None:
    """The step, the attempt and the designs that wait for the user's word; None when none do."""
    proposals = [p for p in archive.proposals(run) if p.attempt < EDITS]
    if not proposals:
        return None
    last = proposals[-1]
    if word_for(archive, run, last.step, last.attempt) is not None:
        return None
    batch = standing([p for p in proposals if (p.step, p.attempt) == (last.step, last.attempt)])
    return (last.step, last.attempt, batch) if batch else None


def was_rejected(archive: ArchiveReader, run: str, step: int) -> bool:
    """Whether the user rejected designs of a step: it is not empty for want of any."""
    words = (word_for(archive, run, step, attempt) for attempt in range(ATTEMPTS))
    return any(word is not None and word.rejected for word in words)


def networks_before(
    proposals: Sequence[Proposal], attempt: int, replaced: Collection[str]
) -> frozenset[str]:
    """The networks of a step's earlier attempts and their edits, but those of ``replaced``.

    ``replaced`` are keys of designs for which the user's edits stand: as proposed or repaired.
    """
    return frozenset(
        p.design.network_key
        for p in proposals
        if (p.attempt % EDITS, p.attempt) < (attempt % EDITS, attempt)
        and not {p.design.key, *(design.key for design in standing([p]))} & set(replaced)
    )


def standing(batch: Sequence[Proposal]) -> list[Design]:
    """What the critic accepted of a batch, repaired where it repaired."""
    designs = []
    for proposal in batch:
        review = proposal.review
        if review is not None and review.verdict is Verdict.ACCEPT:
            designs.append(proposal.design)
        elif review is not None and review.replacement is not None:
            designs.append(review.replacement)
    return designs


def _name(step: int, attempt: int) -> str:
    return f"approval/{step}/{attempt}"
