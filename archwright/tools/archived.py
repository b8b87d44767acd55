"""What tools read of a run: its brief, the designs it judged, its front.

Works on running and finished runs alike; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from archwright.brief import Brief, parse_brief
from archwright.design import Design
from archwright.errors import RunError, UserError
from archwright.front import non_dominated
from archwright.measurement import COSTS, METRICS, Fidelity, Measurement
from archwright.memory.past import archive_file
from archwright.memory.reader import ArchiveReader
from archwright.memory.records import DesignTable, Role
from archwright.space import Value
from archwright.tools.desk import Desk
from archwright.workload import Workload

RunArgument = Annotated[
    str, Field(min_length=1, max_length=64, description="a run's id, or the beginning of it")
]
DesignArgument = Annotated[
    str,
    Field(pattern="^[0-9a-f]{4,16}$", description="a design's key, or the beginning of it"),
]


class ShownMetric(BaseModel):
    """A value with its unit, its 95% interval and how it was obtained."""

    value: float
    unit: str
    low: float
    high: float
    fidelity: str


class ShownDesign(BaseModel):
    """A design with its measurements and where it came from."""

    key: str
    network: dict[str, Value]
    hardware: dict[str, Value]
    metrics: dict[str, ShownMetric]
    proposer: str
    reason: str
    parents: list[str]
    recalled: list[str]


@dataclass(frozen=True)
class ArchivedRun:
    """One run as its archive holds it."""

    run: str
    brief: Brief
    archive: ArchiveReader

    @cached_property
    def judged(self) -> DesignTable:
        """Every design that the search judged, with its objectives, bounds and accuracy."""
        metrics = {**self.brief.objectives, **self.brief.constraints, "accuracy": "maximise"}
        return self.archive.designs(self.run, tuple(metrics))

    @cached_property
    def front(self) -> tuple[Design, ...]:
        """The non-dominated designs within every bound, most accurate first."""
        values, brief = self.judged.values, self.brief
        keep = np.all([np.isfinite(values[m]) for m in values], axis=0)
        for metric, constraint in brief.constraints.items():
            keep &= np.array([constraint.holds(value) for value in values[metric]], dtype=bool)
        rows = np.flatnonzero(keep)
        signs = {m: -1.0 if METRICS[m].maximise else 1.0 for m in brief.objectives}
        losses = np.stack([sign * values[m][rows] for m, sign in signs.items()], axis=-1)
        rows = rows[non_dominated(losses)]
        order = sorted(
            rows.tolist(), key=lambda r: (-values["accuracy"][r], self.judged.designs[r].key)
        )
        return tuple(self.judged.designs[r] for r in order)

    def values(self, metric: str) -> dict[str, float]:
        """A metric of every judged design, by design key."""
        judged = self.archive.designs(self.run, (metric,))
        keys = [design.key for design in judged.designs]
        return dict(zip(keys, judged.values[metric].tolist(), strict=True))

    def workload(self, design: Design) -> Workload:
        """The layers that a design's network asks for."""
        workload = self.archive.workload(design.network_key)
        if workload is None:
            raise UserError(f"design = {design.key!r}: its layers are not in the archive yet")
        return workload

    def evidence(self, design: Design) -> str:
        """Which instruments gave the design's numbers."""
        measured = [
            *self.archive.measurements_of(design.network_key),
            *self.archive.measurements_of(design.key),
        ]
        metrics: dict[str, list[str]] = {}
        for m in measured:
            source = f"{m.evaluator} {m.version} ({m.fidelity.value}, context {m.context})"
            metrics.setdefault(source, []).append(m.metric)
        return "; ".join(
            f"{', '.join(dict.fromkeys(names))}: {source}" for source, names in metrics.items()
        )

    def design(self, key: str, argument: str = "design") -> Design:
        """The judged design whose key begins with ``key``.

        Raises :class:`UserError` that names the ``argument``.
        """
        found = [design for design in self.judged.designs if design.key.startswith(key)]
        if len(found) == 1:
            return found[0]
        what = "begins several keys" if found else "not a design of this run"
        examples = ", ".join(d.key for d in (found or self.front)[:5]) or "none yet"
        raise UserError(f"{argument} = {key!r}: {what}; for instance {examples}")

    def show(self, design: Design) -> ShownDesign:
        """A design with everything that was measured on it or its network."""
        measured: dict[str, Measurement] = {}
        for m in self.archive.measurements_of(design.key):
            if m.metric in COSTS and m.fidelity is Fidelity.ANALYTICAL:  # the front's fidelity
                measured.setdefault(m.metric, m)
        for name, accuracies in self._accuracies.items():
            if design.network_key in accuracies:
                measured[name] = accuracies[design.network_key]
        origin = design.origin
        return ShownDesign(
            key=design.key,
            network=dict(design.network),
            hardware=dict(design.hardware),
            metrics={name: shown(m) for name, m in measured.items()},
            proposer=origin.proposer,
            reason=origin.reason,
            parents=list(origin.parents),
            recalled=list(origin.recalled),
        )

    @cached_property
    def _accuracies(self) -> dict[str, dict[str, Measurement]]:
        """Accuracies at the front's fidelity by the split they are shown under, then by network."""
        return {
            name: {
                network.network_key: network.accuracy
                for network in self.archive.evaluated_networks(
                    self.run, role=role, fidelity=Fidelity.SUPERNET
                )
            }
            for name, role in (("accuracy_validation", Role.SEARCH), ("accuracy_test", Role.TEST))
        }


def shown(measurement: Measurement) -> ShownMetric:
    """A measurement as tools show it."""
    return ShownMetric(
        value=measurement.value,
        unit=measurement.unit,
        low=measurement.low,
        high=measurement.high,
        fidelity=measurement.fidelity.value,
    )


@contextmanager
def archived(run: str, desk: Desk) -> Iterator[ArchivedRun]:
    """The run with this id, read-only.

    Raises :class:`RunError`, a user's error, where there is nothing to read.
    """
    entry = desk.registry.find(run)
    if not archive_file(entry).is_file():
        raise RunError(f"run {entry.run}: has no archive yet; status is {entry.status.value}")
    with ArchiveReader(archive_file(entry)) as archive:
        table = archive.meta(entry.run, "brief")
        if table is None:
            raise RunError(f"run {entry.run}: has not begun yet; ask again in a moment")
        yield ArchivedRun(entry.run, parse_brief(table, f"the brief of {entry.run}"), archive)
