"""Reading an archive: what a step may know, and what other runs left behind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import Column, Connection, Select, Table, func, select, union

from archwright.design import Design
from archwright.measurement import Fidelity, Measurement
from archwright.memory import rows, tables
from archwright.memory.database import Database
from archwright.memory.records import (
    DesignTable,
    EvaluatedNetwork,
    FailedSubject,
    Proposal,
    Role,
    Verdict,
)
from archwright.space import Point
from archwright.workload import Workload

MOST_NAMES = 500
"""How many keys one query may list."""


class ArchiveReader:
    """Reads one archive and never changes it; usable from several threads.

    Reads that take ``before_step`` see rows of earlier steps only; all of them come back
    ordered by step and position. Raises :class:`RunError`, one line, when the database is
    damaged or cannot be used.
    """

    def __init__(self, location: str | Path) -> None:
        self.database = Database(location, tables.ARCHIVE, read_only=True)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def meta(self, run: str, name: str) -> Any:
        """A value kept for the whole run; None when it was never set."""
        with self.database.read() as connection:
            text = text_at(connection, tables.meta.c.value, run=run, name=name)
            return None if text is None else json.loads(text)

    def proposals(
        self, run: str, step: int | None = None, *, before_step: int | None = None
    ) -> list[Proposal]:
        """Proposals of one step, or of all steps before one, with their reviews."""
        table = tables.proposals
        query = _of_run(select(table), table, run, before_step)
        if step is not None:
            query = query.where(table.c.step == step)
        query = query.order_by(table.c.step, table.c.attempt, table.c.position)
        with self.database.read() as connection:
            found = connection.execute(query).mappings().all()
            named = {row["design"] for row in found} | {row["replaced_by"] for row in found}
            designs = self._designs(connection, run, named - {None})
            return [rows.load_proposal(row, designs) for row in found]

    def rejections(self, run: str, *, before_step: int | None = None) -> Counter[str]:
        """How many proposals were rejected, by reason."""
        table = tables.proposals
        query = _of_run(
            select(table.c.reason, func.count().label("times")), table, run, before_step
        )
        query = query.where(table.c.verdict == Verdict.REJECT.value).group_by(table.c.reason)
        with self.database.read() as connection:
            return Counter({row.reason: row.times for row in connection.execute(query)})

    def evaluated_networks(
        self,
        run: str,
        *,
        before_step: int | None = None,
        role: Role = Role.SEARCH,
        fidelity: Fidelity | None = None,
        context: str | None = None,
    ) -> list[EvaluatedNetwork]:
        """Networks whose accuracy the run measured or found, in the order of their proposal.

        A network stands once for each instrument that measured it; ``fidelity`` and
        ``context`` choose one.
        """
        uses, points = tables.uses, tables.points
        query = (
            _measured("accuracy", fidelity=fidelity, context=context)
            .add_columns(uses.c.design, uses.c.step.label("used"), points.c.point)
            .join(
                uses,
                (uses.c.subject == tables.measurements.c.subject)
                & (uses.c.instrument == tables.instruments.c.id),
            )
            .join(points, points.c.key == uses.c.subject)
            .where(uses.c.role == role.value)
            .order_by(uses.c.step, uses.c.position, uses.c.subject, uses.c.instrument)
        )
        with self.database.read() as connection:
            found = connection.execute(_of_run(query, uses, run, before_step)).mappings()
            return [rows.load_evaluated(row) for row in found]

    def recorded_evaluations(
        self, run: str, *, before_step: int | None = None, role: Role = Role.SEARCH
    ) -> int:
        """How many accuracy measurements the run paid for: those that were not there yet."""
        measured, uses = tables.measurements, tables.uses
        query = (
            select(func.count())
            .select_from(uses)
            .join(
                measured,
                (measured.c.subject == uses.c.subject)
                & (measured.c.instrument == uses.c.instrument),
            )
            .where(measured.c.metric == "accuracy", measured.c.run == uses.c.run)
            .where(measured.c.role == uses.c.role, measured.c.step == uses.c.step)
            .where(uses.c.role == role.value)
        )
        with self.database.read() as connection:
            return int(connection.execute(_of_run(query, uses, run, before_step)).scalar_one())

    def measurement(self, subject: str, metric: str, **instrument: str) -> Measurement | None:
        """One measurement, whoever paid for it.

        ``instrument`` narrows by evaluator, version, fidelity and context; of several the
        one whose instrument was used first.
        """
        return self.measurements([subject], metric, **instrument).get(subject)

    def measurements(
        self, subjects: Iterable[str], metric: str, **instrument: str
    ) -> dict[str, Measurement]:
        """Like :meth:`measurement` for many subjects; those never measured are left out."""
        found: dict[str, Measurement] = {}
        subject = tables.measurements.c.subject
        with self.database.read() as connection:
            for names in _chunks(subjects):
                query = _measured(metric, **instrument).where(subject.in_(names))
                for row in connection.execute(query.order_by(tables.instruments.c.id)).mappings():
                    found.setdefault(row["subject"], rows.load_measurement(row))
        return found

    def measurements_of(self, subject: str) -> list[Measurement]:
        """Everything measured on a subject, by instrument and metric."""
        query = _measured(None).where(tables.measurements.c.subject == subject)
        query = query.order_by(tables.instruments.c.id, tables.measurements.c.metric)
        with self.database.read() as connection:
            return [rows.load_measurement(row) for row in connection.execute(query).mappings()]

    def values(self, run: str, *, before_step: int | None = None) -> list[tuple[str, float]]:
        """Every (metric, value) that the run looked at, paid for or found: each pair once."""
        measured, uses, table = tables.measurements, tables.uses, tables.considered
        found = select(measured.c.metric, measured.c.value)
        used = found.join(
            uses,
            (uses.c.subject == measured.c.subject) & (uses.c.instrument == measured.c.instrument),
        )
        exact = found.join(table, table.c.design == measured.c.subject)
        queries = (_of_run(used, uses, run, before_step), _of_run(exact, table, run, before_step))
        with self.database.read() as connection:
            return [(row.metric, row.value) for row in connection.execute(union(*queries))]

    def design(self, run: str, key: str) -> Design | None:
        """A design that the run proposed or judged."""
        with self.database.read() as connection:
            return self._designs(connection, run, {key}).get(key)

    def workload(self, network_key: str) -> Workload | None:
        """The layers of a network, where they were kept."""
        with self.database.read() as connection:
            text = text_at(connection, tables.workloads.c.workload, network=network_key)
            return None if text is None else rows.load_workload(text)

    def count_judged(self, run: str) -> int:
        """How many designs the run judged, in all its roles."""
        table = tables.considered
        query = select(func.count()).select_from(table).where(table.c.run == run)
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def failures(self, run: str, *, before_step: int | None = None) -> list[FailedSubject]:
        """What could not be measured."""
        table = tables.failures
        query = _of_run(select(table), table, run, before_step).order_by(
            table.c.step, table.c.position, table.c.subject, table.c.evaluator
        )
        with self.database.read() as connection:
            return [rows.load_failure(row) for row in connection.execute(query).mappings()]

    def designs(
        self,
        run: str,
        metrics: Sequence[str] = (),
        *,
        before_step: int | None = None,
        role: Role = Role.SEARCH,
        accuracy_fidelity: Fidelity = Fidelity.SUPERNET,
        accuracy_context: str | None = None,
    ) -> DesignTable:
        """The designs that the run judged, in order, with the values of ``metrics``.

        Costs are those of the analytical fidelity. Accuracy is the network's, at the one
        declared fidelity, whichever design it was measured in.
        """
        table = tables.considered
        query = (
            _design_query(run)
            .add_columns(table.c.step)
            .join(
                table,
                (table.c.run == tables.designs.c.run) & (table.c.design == tables.designs.c.key),
            )
            .where(table.c.role == role.value)
            .order_by(table.c.step, table.c.position, table.c.design)
        )
        points: dict[str, Point] = {}
        with self.database.read() as connection:
            found = connection.execute(_of_run(query, table, run, before_step)).mappings().all()
            designs = tuple(rows.load_design(row, points) for row in found)
            costs = _costs(connection, run, role, metrics)
        keys = [row["key"] for row in found]
        values = {m: np.array([costs.get((m, key), np.nan) for key in keys]) for m in metrics}
        if "accuracy" in metrics:
            networks = self.evaluated_networks(
                run,
                before_step=before_step,
                role=role,
                fidelity=accuracy_fidelity,
                context=accuracy_context,
            )
            accuracy = {n.network_key: n.accuracy.value for n in reversed(networks)}
            values["accuracy"] = np.array([accuracy.get(row["network"], np.nan) for row in found])
        return DesignTable(designs, np.array([row["step"] for row in found], np.int64), values)

    def _designs(self, connection: Connection, run: str, keys: set[str]) -> dict[str, Design]:
        points: dict[str, Point] = {}
        found: dict[str, Design] = {}
        for names in _chunks(sorted(keys)):
            query = _design_query(run).where(tables.designs.c.key.in_(names))
            for row in connection.execute(query).mappings():
                found[row["key"]] = rows.load_design(row, points)
        return found


def _of_run(query: Select[Any], table: Table, run: str, before_step: int | None) -> Select[Any]:
    """The rows of one run, and of the steps before ``before_step`` where it is given."""
    query = query.where(table.c.run == run)
    return query if before_step is None else query.where(table.c.step < before_step)


def text_at(connection: Connection, column: Column[str], **key: object) -> str | None:
    """The text of ``column`` in the one row with that key; None where there is no row."""
    query = select(column).where(*(column.table.c[name] == value for name, value in key.items()))
    return connection.execute(query).scalar_one_or_none()


def _design_query(run: str) -> Select[Any]:
    """Designs of a run with their network and hardware."""
    designs = tables.designs
    network, hardware = tables.points.alias("network_point"), tables.points.alias("hardware_point")
    return (
        select(
            designs,
            network.c.point.label("network_point"),
            hardware.c.point.label("hardware_point"),
        )
        .join(network, network.c.key == designs.c.network)
        .join(hardware, hardware.c.key == designs.c.hardware)
        .where(designs.c.run == run)
    )


def _measured(metric: str | None, **instrument: str | None) -> Select[Any]:
    """Measurements with their instruments, of one metric, by what is given of the instrument."""
    measured, instruments = tables.measurements, tables.instruments
    query = select(measured, instruments).join(
        instruments, instruments.c.id == measured.c.instrument
    )
    if metric is not None:
        query = query.where(measured.c.metric == metric)
    for name, value in instrument.items():
        if value is not None:
            query = query.where(instruments.c[name] == value)
    return query


def _costs(
    connection: Connection, run: str, role: Role, metrics: Sequence[str]
) -> dict[tuple[str, str], float]:
    """(metric, design) to the analytical value; of several, the first instrument's."""
    measured, instruments, table = tables.measurements, tables.instruments, tables.considered
    query = (
        select(measured.c.metric, measured.c.subject, measured.c.value)
        .join(table, table.c.design == measured.c.subject)
        .join(instruments, instruments.c.id == measured.c.instrument)
        .where(table.c.run == run, table.c.role == role.value)
        .where(measured.c.metric.in_(metrics))
        .where(instruments.c.fidelity == Fidelity.ANALYTICAL.value)
        .order_by(instruments.c.id.desc())
    )
    return {(metric, subject): value for metric, subject, value in connection.execute(query)}


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(names)
    while chunk := list(islice(remaining, MOST_NAMES)):
        yield chunk
