"""The tables of an archive.

Rows are only ever added; the one thing that is filled in later is a proposal's verdict.
Natural keys are primary keys, so that writing a row twice is writing it once. ``step`` is
the step of a run in which a row was written, ``position`` its place within the step.
JSON is stored as text.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

ARCHIVE = MetaData()


def _key(name: str) -> Column[str]:
    return Column(name, String(64), primary_key=True)


def _count(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, Integer, primary_key=key, nullable=False, autoincrement=False)


def _text(name: str, *, optional: bool = False) -> Column[str]:
    return Column(name, Text, nullable=optional)


def _table(name: str, *columns: Column[str] | Column[int] | Column[float]) -> Table:
    # Without row ids the primary key is the table: half the size for the bulk tables.
    return Table(name, ARCHIVE, *columns, sqlite_with_rowid=False)


meta = _table("meta", _key("run"), _key("name"), _text("value"))
"""What holds for a whole run: brief, spaces, score bounds, checkpoint digest. Set once."""

points = _table("points", _key("key"), _text("point"))
"""Networks and hardware by their hash, each stored once."""

workloads = _table("workloads", _key("network"), _text("workload"))
"""The layers that a network asks for, by the network's key."""

designs = _table(
    "designs",
    _key("run"),
    _key("key"),
    Column("network", String(64), nullable=False),
    Column("hardware", String(64), nullable=False),
    _text("proposer"),
    _text("reason"),
    _text("parents"),
    _text("recalled"),
)
"""Designs of a run with their origin: the first one to name a design is its origin."""

considered = _table(
    "considered",
    _key("run"),
    _key("role"),
    _key("design"),
    _count("step"),
    _count("position"),
)
"""Which designs a run judged: the accepted ones, and evaluated networks on other hardware."""

proposals = _table(
    "proposals",
    _key("run"),
    _count("step", key=True),
    _count("attempt", key=True),
    _count("position", key=True),
    Column("design", String(64), nullable=False),
    Column("verdict", String(16)),
    _text("reason", optional=True),
    Column("replaced_by", String(64)),
)
"""What the proposer proposed, with the critic's verdict once it is given."""

instruments = Table(
    "instruments",
    ARCHIVE,
    Column("id", Integer, primary_key=True),
    Column("evaluator", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("fidelity", String(16), nullable=False),
    Column("context", String(64), nullable=False),
    Unique("evaluator", "version", "fidelity", "context"),
)
"""Who measured, and under what: the part of a measurement's key beside its subject."""

measurements = _table(
    "measurements",
    _key("subject"),
    _count("instrument", key=True),
    _key("metric"),
    Column("value", Float, nullable=False),
    _text("unit"),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("run", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    _count("step"),
    _text("created"),
)
"""Values. Run, role and step are those that paid for the measurement."""

uses = _table(
    "uses",
    _key("run"),
    _key("role"),
    _key("subject"),
    _count("instrument", key=True),
    Column("design", String(64), nullable=False),
    _count("step"),
    _count("position"),
)
"""Which measurements a run looked at, paid for or found, and in which design first.

Analytical values are left out: they are free and follow from the design alone.
"""

failures = _table(
    "failures",
    _key("run"),
    _count("step", key=True),
    _key("subject"),
    _key("evaluator"),
    _count("position"),
    _text("reason"),
)
"""Subjects that could not be measured."""

recalls = _table("recalls", _key("run"), _count("step", key=True), _text("content"))
"""What a step recalled from other runs, frozen when it was first used."""

lessons = _table(
    "lessons",
    _key("run"),
    _count("step", key=True),
    _count("position", key=True),
    _text("text"),
    _text("conditions"),
    _text("evidence"),
)
"""What the critic learned in a step."""
