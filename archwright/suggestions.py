"""Designs that a run should evaluate next, without touching the run."""

from __future__ import annotations

import numpy as np

from archwright.agents.approval import rejected_designs
from archwright.agents.problem import Evaluated, History
from archwright.agents.strategies import make_strategy
from archwright.design import Design, Origin
from archwright.memory.reader import ArchiveReader
from archwright.workbench import Bench

SUGGESTIONS_SEED = 2_000_003
"""Keeps the suggestions' draws apart from every step's."""


def suggest(
    run: str, bench: Bench, archive: ArchiveReader, designs: int, excluded: tuple[str, ...]
) -> list[Design]:
    """Up to ``designs`` suggestions by the surrogate strategy, from what the run measured.

    The same until more is measured. ``excluded`` are beginnings of keys, of designs of the
    run or of earlier suggestions, whose networks are not to come up.
    """
    problem = bench.problem
    evaluated = tuple(
        Evaluated(
            e.network_key,
            e.design,
            problem.network_space.encode([e.network])[0],
            {"accuracy": e.accuracy.value},
            e.step,
        )
        for e in archive.evaluated_networks(run)
    )
    unwanted = {d.network_key for d in archive.designs(run).designs if d.key.startswith(excluded)}
    unwanted |= {failure.subject for failure in archive.failures(run)}
    if bench.brief.approval:
        steps = max((p.step for p in archive.proposals(run)), default=-1) + 1
        unwanted |= {design.network_key for design, _ in rejected_designs(archive, run, steps)}
    seed = (bench.brief.seed, SUGGESTIONS_SEED, len(evaluated))
    strategy = make_strategy("surrogate", problem, bench.pairings, seed)
    strategy.tell(History(evaluated, frozenset({e.key for e in evaluated} | unwanted)))
    found = strategy.ask(designs + len(excluded))  # earlier suggestions come up again
    if not found:
        return []
    networks = problem.networks(np.stack([s.network for s in found]))
    hardware = problem.hardware_space.decode(np.stack([s.hardware for s in found]))
    suggested = [
        Design(network, device, Origin(f"rules/{strategy.name}", s.reason, s.parents))
        for network, device, s in zip(networks, hardware, found, strict=True)
    ]
    return [design for design in suggested if not design.key.startswith(excluded)][:designs]
