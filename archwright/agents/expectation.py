"""What a batch was expected to add to the hypervolume, kept so that a resumed run knows it."""

from __future__ import annotations

from collections.abc import Sequence

from archwright.agents.approval import ATTEMPTS
from archwright.design import Design
from archwright.memory.archive import Archive
from archwright.memory.reader import ArchiveReader


def keep_expectation(
    archive: Archive, run: str, step: int, attempt: int, designs: Sequence[Design]
) -> None:
    """Keep what each design's strategy expected of it, by network; before the batch itself.

    The first word on a step and attempt stays: a node that runs twice changes nothing.
    """
    gains = {
        design.network_key: design.origin.expected_gain
        for design in designs
        if design.origin.expected_gain is not None
    }
    if gains:
        archive.set_meta(run, _name(step, attempt), gains)


def expected_gain(
    archive: ArchiveReader, run: str, step: int, designs: Sequence[Design]
) -> float | None:
    """The sum of what was expected of a step's ``designs``; None where nobody said.

    A strategy states each gain as what is added after the designs before it, so they add up.
    """
    stated: dict[str, float] = {}
    for attempt in range(ATTEMPTS):
        stated |= archive.meta(run, _name(step, attempt)) or {}
    gains = [stated[d.network_key] for d in designs if d.network_key in stated]
    return float(sum(gains)) if gains else None


def _name(step: int, attempt: int) -> str:
    return f"expected gain/{step}/{attempt}"
