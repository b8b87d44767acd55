"""One SQLAlchemy database that several threads and processes use at once.

SQLite files get a write-ahead log, a patient lock and whole transactions; a URL opens
any other database whose dialect knows "insert or do nothing". What goes wrong inside
comes out as a one-line :class:`RunError`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, QueuePool, Table, create_engine, event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from archwright.errors import RunError

LOCK_SECONDS = 60.0
"""How long a process waits for another one's transaction."""

Row = Mapping[str, object]


class Database:
    """Tables in a file or behind a URL, made when they are not there.

    ``read_only`` opens what exists and never creates or changes anything.
    """

    def __init__(self, location: str | Path, tables: MetaData, *, read_only: bool = False) -> None:
        self.label = _label(location)
        with self._one_line():
            self._engine = _engine(location, read_only)
        if not read_only:
            try:
                with self._one_line():
                    self._create(tables)
            except BaseException:
                self.close()
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database.

        Rows are to be turned into words inside it: what makes no sense is a RunError too.
        """
        try:
            with self._one_line(), self._engine.begin() as connection:
                yield connection
        except (ValueError, KeyError) as error:
            raise RunError(f"{self.label}: damaged row: {_first_line(error)}") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is written as a whole or not at all, one writer at a time."""
        with self._one_line(), self._engine.connect() as connection:
            writer = connection.execution_options(writes=True)
            with writer.begin():
                yield writer

    def insert_new(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Insert ``rows``; those whose key is already there are left as they are."""
        if not rows:
            return
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))

    def close(self) -> None:
        """Close every connection; the database can be opened again."""
        self._engine.dispose()

    def _create(self, tables: MetaData) -> None:
        """Make the tables; several processes may do so at once."""
        if self._engine.dialect.name == "sqlite":
            _use_write_ahead_log(self._engine)
        with self.write() as connection:
            for table in tables.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        """Turn the database's errors into a RunError."""
        try:
            yield
        except (exc.DBAPIError, sqlite3.Error) as error:
            raise RunError(f"{self.label}: damaged or not usable: {_first_line(error)}") from None
        except (exc.SQLAlchemyError, ImportError) as error:
            raise RunError(f"{self.label}: cannot be opened: {_first_line(error)}") from None


def _engine(location: str | Path, read_only: bool) -> Engine:
    """An engine for a file, an sqlite URL or another database's URL."""
    if isinstance(location, str) and "://" in location:
        url = make_url(location)
        if url.get_backend_name() == "postgresql":
            return create_engine(url)
        if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
            raise RunError(
                f"{_label(location)}: allowed a path, sqlite:///FILE or a postgresql URL"
            )
        location = url.database
    return _sqlite_engine(Path(location), read_only)


def _sqlite_engine(path: Path, read_only: bool) -> Engine:
    mode = "ro" if read_only else "rwc"
    address = f"{path.absolute().as_uri()}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # isolation_level=None: the "begin" event below opens transactions, not the driver.
        return sqlite3.connect(
            address, uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: upgrading a reader later fails without waiting.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _use_write_ahead_log(engine: Engine) -> None:
    """Switch the file to its write-ahead log, once; it stays so.

    The switch does not wait for other processes' locks by itself. Commits reach the disk
    (``synchronous`` stays FULL), because graph checkpoints rely on them.
    """
    give_up = time.monotonic() + LOCK_SECONDS
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        while cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                cursor.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
    finally:
        connection.close()


def _label(location: str | Path) -> str:
    """The location as shown to the user: a URL without its password."""
    if isinstance(location, str) and "://" in location:
        try:
            return make_url(location).render_as_string(hide_password=True)
        except exc.ArgumentError:
            return "the database URL"
    return str(location)


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error  # the driver's words, without the statement
    return (str(cause).strip().splitlines() or [type(error).__name__])[0][:200]
