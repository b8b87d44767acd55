"""The archive: the durable record of every design and measurement of a run.

What makes a resumed run end where the uninterrupted one ends:

- every write is one transaction and idempotent: the first writer of a row wins, so a
  step that runs again after a kill writes nothing twice;
- the reads that a step builds on take ``before_step`` and see rows of earlier steps only;
- everything comes back ordered by step and position, never by time of arrival.

An archive is one SQLite file in the run's folder, or any number of runs behind one URL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, bindparam, select

from archwright.design import Design
from archwright.measurement import Fidelity, Outcome
from archwright.memory import rows, tables
from archwright.memory.database import Database
from archwright.memory.reader import ArchiveReader, text_at
from archwright.memory.records import Review, Role
from archwright.workload import Workload

ARCHIVE_FILE = "archive.db"
"""The archive's name in a run's folder."""


class Archive(ArchiveReader):
    """Reads and writes one archive, made when it is not there; usable from several threads.

    Raises :class:`RunError`, one line, when the database is damaged or cannot be used.
    """

    def __init__(self, location: str | Path) -> None:
        self.database = Database(location, tables.ARCHIVE)

    def set_meta(self, run: str, name: str, value: Any) -> Any:
        """Keep a JSON value for a whole run; the first one stays and is returned."""
        with self.database.write() as connection:
            self._insert(connection, tables.meta, run=run, name=name, value=rows.dump(value))
            return json.loads(
                text_at(connection, tables.meta.c.value, run=run, name=name) or "null"
            )

    def add_proposals(self, run: str, step: int, attempt: int, designs: Sequence[Design]) -> None:
        """Keep what the proposer proposed; a proposal's index is its place in ``designs``."""
        new = [
            {"run": run, "step": step, "attempt": attempt, "position": index, "design": d.key}
            for index, d in enumerate(designs)
        ]
        with self.database.write() as connection:
            self._add_designs(connection, run, designs)
            self.database.insert_new(connection, tables.proposals, new)

    def review(self, run: str, step: int, attempt: int, reviews: Sequence[Review]) -> None:
        """Fill in the critic's verdicts; a verdict that is there already stays."""
        if not reviews:
            return
        proposals = tables.proposals
        statement = (
            proposals.update()
            .where(proposals.c.run == run, proposals.c.step == step)
            .where(proposals.c.attempt == attempt, proposals.c.position == bindparam("index"))
            .where(proposals.c.verdict.is_(None))
            .values(
                verdict=bindparam("word"), reason=bindparam("why"), replaced_by=bindparam("new")
            )
        )
        filled = [
            {
                "index": review.index,
                "word": review.verdict.value,
                "why": review.reason,
                "new": review.replacement.key if review.replacement else None,
            }
            for review in reviews
        ]
        with self.database.write() as connection:
            self._add_designs(connection, run, [r.replacement for r in reviews if r.replacement])
            connection.execute(statement, filled)

    def record(
        self,
        run: str,
        step: int,
        designs: Sequence[Design],
        outcomes: Sequence[Outcome],
        *,
        position: int = 0,
        role: Role = Role.SEARCH,
    ) -> None:
        """Keep what came of judging ``designs``: one outcome each, in the same order.

        Workers that finish out of order give the ``position`` of the first design within
        its step. Raises :class:`MeasurementFailed`, with nothing written, for values that
        are not numbers and for accuracy outside 0 to 1.
        """
        for outcome in outcomes:
            for measurement in outcome.measurements:
                rows.check_measurement(measurement)
        place = {"run": run, "step": step}
        considered, uses, failures = [], [], []
        with self.database.write() as connection:
            instruments = self._instruments(connection, outcomes)
            for index, (design, outcome) in enumerate(
                zip(designs, outcomes, strict=True), position
            ):
                here = {**place, "position": index}
                considered.append({**here, "role": role.value, "design": design.key})
                if outcome.failure:
                    failed = outcome.failure
                    failures.append(
                        {
                            **here,
                            "subject": failed.subject,
                            "evaluator": failed.evaluator,
                            "reason": failed.reason,
                        }
                    )
                uses += [
                    {
                        **considered[-1],
                        "subject": m.subject,
                        "instrument": instruments[rows.instrument_key(m)],
                    }
                    for m in outcome.measurements
                    if m.fidelity is not Fidelity.ANALYTICAL
                ]
            measured = rows.measurement_rows(run, step, role.value, outcomes, instruments)
            self._add_designs(connection, run, designs)
            self.database.insert_new(connection, tables.considered, considered)
            self.database.insert_new(connection, tables.measurements, measured)
            self.database.insert_new(connection, tables.uses, uses)
            self.database.insert_new(connection, tables.failures, failures)

    def add_workloads(self, workloads: Mapping[str, Workload]) -> None:
        """Keep the layers of networks, by network key; the memory compares designs by them."""
        new = [{"network": k, "workload": rows.dump_workload(w)} for k, w in workloads.items()]
        with self.database.write() as connection:
            self.database.insert_new(connection, tables.workloads, new)

    def freeze_recall(self, run: str, step: int, compute: Callable[[], list[Any]]) -> list[Any]:
        """What the step recalled: computed at its first use, the same ever after.

        ``compute`` returns a JSON list.
        """
        content = tables.recalls.c.content
        with self.database.read() as connection:
            frozen = text_at(connection, content, run=run, step=step)
        if frozen is None:
            computed = rows.dump(compute())
            with self.database.write() as connection:
                self._insert(connection, tables.recalls, run=run, step=step, content=computed)
                frozen = text_at(connection, content, run=run, step=step) or "[]"
        with self.database.read():
            return list(json.loads(frozen))

    def _insert(self, connection: Connection, table: Table, **row: object) -> None:
        self.database.insert_new(connection, table, [row])

    def _add_designs(self, connection: Connection, run: str, designs: Sequence[Design]) -> None:
        self.database.insert_new(connection, tables.points, rows.point_rows(designs))
        new = [rows.design_row(run, design) for design in designs]
        self.database.insert_new(connection, tables.designs, new)

    def _instruments(
        self, connection: Connection, outcomes: Sequence[Outcome]
    ) -> dict[object, int]:
        """The number of each instrument of a batch; new ones get one."""
        names = ("evaluator", "version", "fidelity", "context")
        keys = {rows.instrument_key(m): None for o in outcomes for m in o.measurements}
        table = tables.instruments
        new = [dict(zip(names, key, strict=True)) for key in keys]
        # Asked for first: a clash would use up a number on some databases.
        known = _instrument_numbers(connection)
        missing = [row for row, key in zip(new, keys, strict=True) if key not in known]
        self.database.insert_new(connection, table, missing)
        return _instrument_numbers(connection) if missing else known


def _instrument_numbers(connection: Connection) -> dict[object, int]:
    table = tables.instruments
    found = connection.execute(select(table).order_by(table.c.id)).mappings()
    return {
        (row["evaluator"], row["version"], row["fidelity"], row["context"]): row["id"]
        for row in found
    }
