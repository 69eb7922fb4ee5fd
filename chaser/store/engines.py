"""Connections: how each of the two databases is opened."""

import fcntl
import os
import select
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from chaser.errors import ConfigError

READERS = 4
"""Threads that read at once."""
_POSTGRES_WRITERS = 8
_BUSY_SECONDS = 10.0
"""How long a process waits for another one's write lock."""
_CHECKPOINT_PAGES = 4096
"""16 MiB: a long output is then copied out of the log less often, in longer runs."""

_LOG_KEPT_BYTES = 64 << 20

_SINGLE = "chaser_single"
"""The option of an engine whose statements are each a transaction."""


@dataclass(frozen=True, slots=True)
class Engines:
    """SQLite has one writer at a time, so it gets one connection for writing, and readers that cannot write."""

    writing: Engine
    reading: Engine
    single: Engine
    """For writes of one statement: on PostgreSQL it is committed by itself, without the round trips around it."""
    writers: int
    readers: int
    folder: Path | None = None
    """Where SQLite's file is."""
    server: str | None = None
    """What psycopg connects to, where there is a server."""
    backends: set[int] = field(default_factory=set[int])
    """The server's processes that serve this one."""

    @contextmanager
    def alone(self) -> Generator[None]:
        """Processes that start take turns: the change to WAL does not wait for SQLite's own lock, but fails at it.

        On PostgreSQL the migrations' advisory lock is enough.
        """
        if self.folder is None:
            yield
            return
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def unreferenced(self) -> Generator[None]:
        """Foreign keys do nothing meanwhile, so that SQLite can replace a table that others refer to.

        It can only be said between two transactions. PostgreSQL alters tables where they are.
        """
        self._refer("OFF")
        try:
            yield
        finally:
            self._refer("ON")

    def _refer(self, state: str) -> None:
        if self.folder is None:
            return
        # Of the one connection for writing, which the pool hands out again.
        connection = self.writing.raw_connection()
        try:
            connection.cursor().execute(f"PRAGMA foreign_keys = {state}")
        finally:
            connection.close()

    def dispose(self) -> None:
        """Close every connection."""
        self.reading.dispose()
        self.writing.dispose()


def connect(url: str) -> Engines:
    """Make the engines for `sqlite:///path` or `postgresql://…`. Raises `ConfigError` for anything else."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError((_EXPECTED,)) from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return _sqlite(Path(parsed.database))
        case "postgresql" | "postgres":
            return _postgres(parsed)
        case _:
            raise ConfigError((_EXPECTED,))


_EXPECTED = "CHASER_DATABASE_URL must be postgresql://user:password@host/database or sqlite:////absolute/path/to/file.db"


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path.absolute()}"


def _sqlite(path: Path) -> Engines:
    _own_file(path)
    url = URL.create("sqlite+pysqlite", database=str(path))
    writing = _sqlite_engine(url, connections=1, begin="BEGIN IMMEDIATE", query_only=False)
    reading = _sqlite_engine(url, connections=READERS, begin="BEGIN", query_only=True)
    return Engines(writing, reading, writing, writers=1, readers=READERS, folder=path.parent)


def _own_file(path: Path) -> None:
    """The file, readable by its owner only; SQLite gives its log and its index the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not opened here: closing a file that this process has open as a database would drop SQLite's locks.
        if path.is_dir():
            raise ConfigError((f"the database file {path} is a directory; name a file in it",)) from None
    except OSError as error:
        raise ConfigError((f"the database file {path} cannot be made: {error.strerror}",)) from error


def _sqlite_engine(url: URL, *, connections: int, begin: str, query_only: bool) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        # Python's own transactions begin too late, at the first write, with a lock that cannot be waited for.
        connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(connection, sqlite3.Connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_KEPT_BYTES}")
        connection.execute(f"PRAGMA query_only = {int(query_only)}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql(begin)

    return engine


def _postgres(url: URL) -> Engines:
    import psycopg  # costs what only an installation with PostgreSQL need pay

    defaults = {"connect_timeout": "10", "application_name": "chaser"}
    url = url.update_query_dict({key: value for key, value in defaults.items() if key not in url.query})
    backends: set[int] = set()
    writing = _postgres_engine(url, _POSTGRES_WRITERS, backends)
    reading = _postgres_engine(url, READERS, backends)

    @event.listens_for(writing, "connect")
    def follow_indices(connection: DBAPIConnection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(connection, psycopg.Connection)
        # Before the server has counted a table's rows, reading all that waits and sorting it looks as cheap as taking
        # the first by its index, and a plan is kept. Where no index has the order, it sorts all the same.
        connection.execute("SET enable_sort = off")

    return Engines(
        writing,
        reading.execution_options(**{_SINGLE: True}),
        writing.execution_options(**{_SINGLE: True}),
        writers=_POSTGRES_WRITERS,
        readers=READERS,
        server=url.set(drivername="postgresql").render_as_string(hide_password=False),
        backends=backends,
    )


def _postgres_engine(url: URL, connections: int, backends: set[int]) -> Engine:
    import psycopg

    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        # The driver's own transactions would begin with any statement; here one begins where it is asked for.
        connect_args={"autocommit": True},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(connection, psycopg.Connection)
        # What is accepted is on disk, also where the server's default is to say so before it is true.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        record.info["backend"] = connection.info.backend_pid
        backends.add(connection.info.backend_pid)

    @event.listens_for(engine, "close")
    def forget(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]
        backends.discard(record.info.get("backend", 0))

    @event.listens_for(engine, "checkout")
    def look(connection: DBAPIConnection, _record: object, _proxy: object) -> None:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(connection, psycopg.Connection)
        # A server says nothing to a connection at rest but that it has ended it.
        if select.select([connection], [], [], 0)[0]:
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        if not connection.get_execution_options().get(_SINGLE):
            connection.exec_driver_sql("BEGIN")

    return engine
