"""What a run's measurements let expect, without touching the run: accuracies, next designs."""

from __future__ import annotations

from collections.abc import Sequence

from archwright.agents import foresight
from archwright.agents.approval import rejected_designs
from archwright.agents.problem import Evaluated, History
from archwright.design import Design
from archwright.memory.reader import ArchiveReader
from archwright.space import Point
from archwright.tools.desk import EstimatedAccuracies
from archwright.workbench import Bench


def suggest(
    run: str, bench: Bench, archive: ArchiveReader, designs: int, excluded: tuple[str, ...]
) -> list[Design]:
    """Up to ``designs`` suggestions by the surrogate strategy, from what the run measured.

    The same until more is measured. ``excluded`` are beginnings of keys, of designs of the
    run or of earlier suggestions, whose networks are not to come up.
    """
    evaluated = _evaluated(run, bench, archive)
    unwanted = {d.network_key for d in archive.designs(run).designs if d.key.startswith(excluded)}
    unwanted |= {failure.subject for failure in archive.failures(run)}
    if bench.brief.approval:
        steps = max((p.step for p in archive.proposals(run)), default=-1) + 1
        unwanted |= {design.network_key for design, _ in rejected_designs(archive, run, steps)}
    history = History(evaluated, frozenset({e.key for e in evaluated} | unwanted))
    wanted = designs + len(excluded)  # earlier suggestions come up again
    found = foresight.suggest(bench.problem, bench.pairings, history, bench.brief.seed, wanted)
    return [design for design in found if not design.key.startswith(excluded)][:designs]


def estimate(
    run: str, bench: Bench, archive: ArchiveReader, networks: Sequence[Point]
) -> EstimatedAccuracies:
    """The accuracies of networks that the run's measurements let expect."""
    evaluated = _evaluated(run, bench, archive)
    return foresight.estimate(bench.problem, bench.pairings, evaluated, networks)


def _evaluated(run: str, bench: Bench, archive: ArchiveReader) -> tuple[Evaluated, ...]:
    """The networks that the run measured, in the order of their proposal."""
    space = bench.problem.network_space
    return tuple(
        Evaluated(
            e.network_key,
            e.design,
            space.encode([e.network])[0],
            {"accuracy": e.accuracy.value},
            e.step,
        )
        for e in archive.evaluated_networks(run)
    )
