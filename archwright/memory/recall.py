"""Recall: what past runs found best, for a brief, workload or design like theirs.

A recalled number is information, never a measurement: it was obtained for another brief,
on other data or with another supernet, and is not written to any archive as a value.

What is recalled of a run is its own front: the non-dominated designs by its objectives
among those that keep its constraints, or among all where none does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import numpy as np
from pydantic import Field, TypeAdapter

from archwright.brief import Brief, Constraint, Direction, parse_brief
from archwright.design import Design
from archwright.errors import ArchwrightError, RunError
from archwright.front import non_dominated
from archwright.measurement import COSTS, METRICS, Fidelity
from archwright.memory.embedding import as_query, embed
from archwright.memory.index import DesignIndex, Entry, Hit, IndexBusy, IndexDamaged, OpenIndex
from archwright.memory.past import fingerprint, read_past
from archwright.memory.reader import ArchiveReader
from archwright.memory.records import DesignTable, Floats
from archwright.memory.registry import Registry
from archwright.space import Point
from archwright.workload import Workload

META_BRIEF = "brief"
"""The name under which an archive keeps its run's brief, as a JSON table."""

META_DATA_DIGEST = "data_digest"
"""The name under which an archive keeps the digest of the run's data."""

ACCURACY_FIDELITY = Fidelity.SUPERNET
MOST_RECALLED = 1000
MOST_JUDGED = 200_000
"""Runs that judged more designs are skipped: reading one would take memory and minutes."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Query:
    """What to recall by; what is None does not count."""

    brief: Brief | None = None
    workload: Workload | None = None
    network: Point | None = None
    hardware: Point | None = None


@dataclass(frozen=True)
class Recalled:
    """A design of a past run, with what that run found out about it.

    ``costs`` are analytical; ``data`` is the digest of the data that the accuracy holds
    for; ``similarity`` is 1 for the same brief, workload and design, and less for others.
    """

    design: Design
    run: str
    brief: str
    objectives: Mapping[str, Direction]
    accuracy: Finite
    fidelity: Fidelity
    data: str
    costs: Mapping[str, Finite]
    similarity: Finite = 0.0

    def to_json(self) -> dict[str, Any]:
        """As a JSON table, for an archive to freeze."""
        table: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return table

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Self:
        """From :meth:`to_json`. Raises ValueError for anything else."""
        recalled: Self = _adapter().validate_python(table)
        return recalled


@dataclass(frozen=True)
class Recall:
    """Recalled designs, most similar first, and why some runs could not be read."""

    designs: tuple[Recalled, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecalledRun:
    """A past run with its front, by key; its similarity is that of its most similar design."""

    run: str
    similarity: float
    front: tuple[Recalled, ...]


@dataclass(frozen=True)
class RecalledRuns:
    """Recalled runs, most similar first, and why some could not be read."""

    runs: tuple[RecalledRun, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Synced:
    """How many runs were read again, and why some could not be."""

    read: int = 0
    skipped: tuple[str, ...] = ()


class DesignMemory:
    """The designs of all runs in a registry, found by similarity.

    ``folder`` holds the index. Nothing here ends a run: what cannot be read is skipped
    with a reason, an index that is damaged is made anew from the archives.
    """

    def __init__(self, folder: Path, registry: Registry) -> None:
        self._index = DesignIndex(folder)
        self._registry = registry

    def sync(self, *, exclude_run: str | None = None) -> Synced:
        """Index what the archives of registered runs hold; those that are unchanged rest."""
        return self._session(
            lambda index: self._sync(index, exclude_run),
            lambda reason: Synced(skipped=(reason,)),
        )

    def recall(self, query: Query, k: int, *, exclude_run: str | None = None) -> Recall:
        """The ``k`` designs most similar to ``query``, after a sync; ties by run and key."""

        def ask(index: OpenIndex) -> Recall:
            skipped = self._sync(index, exclude_run).skipped
            wanted = min(k, MOST_RECALLED)
            hits = index.query(vector, max(4 * wanted, 64), exclude_run)[:wanted]
            return Recall(tuple(_recalled(hit) for hit in hits), skipped)

        vector = _vector(query)
        return self._session(ask, lambda reason: Recall(skipped=(reason,)))

    def recall_runs(self, query: Query, k: int, *, exclude_run: str | None = None) -> RecalledRuns:
        """The ``k`` runs most similar to ``query``, each with its whole front; ties by run.

        Nearest designs alone would be those of a like size, from many runs of one kind.
        """

        def ask(index: OpenIndex) -> RecalledRuns:
            skipped = self._sync(index, exclude_run).skipped
            runs = []
            for run, similarity in index.nearest_runs(vector, k, exclude_run).items():
                hits = (
                    Hit(run, "", text, similarity) for text in index.records(run, MOST_RECALLED)
                )
                runs.append(RecalledRun(run, similarity, tuple(map(_recalled, hits))))
            return RecalledRuns(tuple(runs), skipped)

        vector = _vector(query)
        return self._session(ask, lambda reason: RecalledRuns(skipped=(reason,)))

    def _session(
        self, work: Callable[[OpenIndex], Answer], give_up: Callable[[str], Answer]
    ) -> Answer:
        """``work`` on the index; once more on an empty one when it turns out to be damaged."""
        for last in (False, True):
            try:
                with self._index.session() as index:
                    return work(index)
            except IndexBusy as error:
                return give_up(str(error))
            except IndexDamaged as error:
                if last:
                    return give_up(str(error))
            except ArchwrightError as error:  # the registry cannot be read
                return give_up(str(error))
        raise AssertionError("the second attempt returns")

    def _sync(self, index: OpenIndex, exclude_run: str | None) -> Synced:
        skipped: list[str] = []
        read = 0
        marks = {entry.run: fingerprint(entry) for entry in self._registry.list()}
        for run in set(index.indexed) - {run for run, mark in marks.items() if mark}:
            index.replace(run, {}, None)
        for entry in self._registry.list():
            mark = marks.get(entry.run)
            if mark is None or entry.run == exclude_run or index.indexed.get(entry.run) == mark:
                continue
            found = read_past(entry, partial(_entries, run=entry.run), skipped)
            index.replace(entry.run, found or {}, None if found is None else mark)
            read += 1
        return Synced(read, tuple(skipped))


def _vector(query: Query) -> list[float]:
    return as_query(embed(query.network, query.hardware, query.workload, query.brief))


def _entries(archive: ArchiveReader, run: str) -> dict[str, Entry]:
    """What is to be indexed of a run, by design key."""
    table = archive.meta(run, META_BRIEF)
    if table is None:
        return {}
    if (judged_designs := archive.count_judged(run)) > MOST_JUDGED:
        raise RunError(f"judged {judged_designs} designs; allowed {MOST_JUDGED}")
    brief = parse_brief(table, f"the brief of {run}")
    metrics = {**brief.objectives, **brief.constraints, "accuracy": "maximise"}
    judged = archive.designs(run, tuple(metrics), accuracy_fidelity=ACCURACY_FIDELITY)
    best = _best(judged, brief)
    data = str(archive.meta(run, META_DATA_DIGEST) or "")
    keys = [judged.designs[i].key for i in best]
    costs = {
        metric: archive.measurements(keys, metric, fidelity=Fidelity.ANALYTICAL) for metric in COSTS
    }
    entries = {}
    for i, key in zip(best, keys, strict=True):
        design = judged.designs[i]
        recalled = Recalled(
            design,
            run,
            brief.name,
            dict(brief.objectives),
            float(judged.values["accuracy"][i]),
            ACCURACY_FIDELITY,
            data,
            {
                m: of[key].value
                for m, of in costs.items()
                if key in of and np.isfinite(of[key].value)
            },
        )
        workload = archive.workload(design.network_key)
        vector = embed(design.network, design.hardware, workload, brief)
        entries[key] = Entry(vector, _adapter().dump_json(recalled).decode())
    return entries


def _best(judged: DesignTable, brief: Brief) -> list[int]:
    """The rows of the run's front."""
    values = judged.values
    wanted = [*brief.objectives, "accuracy"]
    measured = np.all([np.isfinite(values[metric]) for metric in wanted], axis=0)
    measured &= (values["accuracy"] >= 0) & (values["accuracy"] <= 1)
    feasible = measured.copy()
    for metric, constraint in brief.constraints.items():
        feasible &= _holds(constraint, values[metric])
    rows = np.flatnonzero(feasible if feasible.any() else measured)
    losses = np.stack(
        [-values[m][rows] if METRICS[m].maximise else values[m][rows] for m in brief.objectives], -1
    )
    return [int(row) for row in rows[non_dominated(losses)]]


def _holds(constraint: Constraint, values: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where the values are within the bounds; not where they are unknown."""
    low = -np.inf if constraint.at_least is None else constraint.at_least
    high = np.inf if constraint.at_most is None else constraint.at_most
    return (values >= low) & (values <= high)


def _recalled(hit: Hit) -> Recalled:
    try:
        recalled: Recalled = _adapter().validate_json(hit.record)
    except ValueError:
        raise IndexDamaged(f"the memory's index: a damaged record of {hit.run}") from None
    return replace(recalled, similarity=hit.similarity)


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Recalled)
