"""The networks that a past run measured, as data for a model of accuracy: read with suspicion.

Another run's archive may hold anything. What is read is bounded before it is read, rows
that cannot be a measured accuracy are left out, and what is left is information: it was
obtained on other data or weights and is never written down as a measurement.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Select, func, select

from archwright.errors import SpaceError
from archwright.measurement import Fidelity
from archwright.memory import rows, tables
from archwright.memory.reader import ArchiveReader
from archwright.memory.records import Role
from archwright.space import Point, Space, point_hash

MOST_NETWORKS = 400
"""Of one run: a Gaussian process over four runs still takes seconds."""
MOST_READ = 20_000
"""Rows looked at of one run, the first it measured: about half a second."""
LONGEST_POINT = 8192
"""Characters of a network's JSON: fifty choices take about a thousand."""
VALIDATION_ROLES = (Role.SEARCH, Role.BASELINE)
"""Both are scored on the validation split, with the same weights."""

Measured = tuple[Point, float]


def measured_networks(
    archive: ArchiveReader, run: str, space: Space, fidelity: Fidelity
) -> tuple[Measured, ...]:
    """Networks of ``space`` with the accuracy that ``run`` measured on its validation split.

    Most accurate first, then by key; at most :data:`MOST_NETWORKS`. Of a network measured
    twice the first accuracy counts. Left out are accuracies outside 0 to 1, networks that
    failed in any way, lie outside the space or do not have the name they go by.
    Raises :class:`RunError` for a row that is no network at all.
    """
    found: dict[str, Measured] = {}
    with archive.database.read() as connection:
        for row in connection.execute(_query(run, fidelity)):
            network, key = rows.load_point(row.point), row.subject
            if key not in found and _is_of(space, network) and point_hash(network) == key:
                found[key] = (network, float(row.value))
    best_first = sorted(found.items(), key=lambda item: (-item[1][1], item[0]))
    return _thinned([measured for _, measured in best_first], MOST_NETWORKS)


def _query(run: str, fidelity: Fidelity) -> Select[Any]:
    """Subject, point and value, in the order of measuring; bounded by the database."""
    measured, uses, points = tables.measurements, tables.uses, tables.points
    instruments, failures = tables.instruments, tables.failures
    failed = select(failures.c.subject).where(failures.c.run == run)
    return (
        select(uses.c.subject, points.c.point, measured.c.value)
        .join(
            measured,
            (measured.c.subject == uses.c.subject) & (measured.c.instrument == uses.c.instrument),
        )
        .join(instruments, instruments.c.id == uses.c.instrument)
        .join(points, points.c.key == uses.c.subject)
        .where(uses.c.run == run, uses.c.role.in_([role.value for role in VALIDATION_ROLES]))
        .where(measured.c.metric == "accuracy", instruments.c.fidelity == fidelity.value)
        .where(measured.c.value >= 0.0, measured.c.value <= 1.0)
        .where(func.length(points.c.point) <= LONGEST_POINT, uses.c.subject.not_in(failed))
        .order_by(uses.c.step, uses.c.position, uses.c.subject, uses.c.instrument)
        .limit(MOST_READ)
    )


def _is_of(space: Space, network: Point) -> bool:
    try:
        space.check(network)
    except SpaceError:
        return False
    return True


def _thinned(best_first: list[Measured], most: int) -> tuple[Measured, ...]:
    """The better half of ``most``, and as many at even steps over the rest."""
    if len(best_first) <= most:
        return tuple(best_first)
    better = most // 2
    rest = np.linspace(better, len(best_first) - 1, most - better).round().astype(int)
    return tuple(best_first[:better] + [best_first[k] for k in rest.tolist()])
