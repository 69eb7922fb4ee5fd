"""What processes that share a PostgreSQL server tell each other: `chaser.jobs.ports.Notices`, over LISTEN and NOTIFY.

A notice goes out with the transaction that makes it true, from within its last statement. It costs: PostgreSQL lets one
transaction with notices commit at a time. So only what another process may be waiting for is told.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import ColumnElement, Connection, FromClause, case, func, literal, text

from chaser.ids import JobId
from chaser.jobs.notices import CancelAsked, JobChanged, LookAtQueue, Notice, Notices
from chaser.jobs.reason import Reason
from chaser.store.engines import Engines

if TYPE_CHECKING:
    from psycopg import AsyncConnection

log = structlog.stdlib.get_logger()

CHANNEL = "chaser"
_QUEUE, _CHANGED, _CANCEL = "queue", "changed ", "cancel "
_NOTIFY = text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS payload")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0


def job_changed(row: FromClause) -> ColumnElement[Any]:
    """For `row`, which has the job's id, as a column of a query on PostgreSQL."""
    return func.pg_notify(CHANNEL, literal(_CHANGED) + row.c.id)


def look_if_ready(row: FromClause) -> ColumnElement[Any]:
    return case((row.c.ready, func.pg_notify(CHANNEL, _QUEUE)))


def tell(connection: Connection, notices: Iterable[Notice]) -> None:
    """When the transaction is on disk. Nobody is there to be told on SQLite."""
    payloads = [_payload(notice) for notice in notices]
    if payloads and connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": CHANNEL, "payloads": payloads})


class NoNotices:
    """SQLite's: one process has the database, and tells itself."""

    async def listen(self, heard: Callable[[Notice], None]) -> None:
        return


class PostgresNotices:
    """`url` is the server's; notices from `own`, the server's processes that serve this one, are not news."""

    def __init__(self, url: str, own: set[int]) -> None:
        self._url = url
        self._own = own

    async def listen(self, heard: Callable[[Notice], None]) -> None:
        from psycopg import OperationalError  # only where it is used

        pause = _FIRST_PAUSE
        while True:
            try:
                async with self._connected() as connection:
                    heard(LookAtQueue())
                    pause = _FIRST_PAUSE
                    async for notify in connection.notifies():
                        notice = None if notify.pid in self._own else _notice(notify.payload)
                        if notice is not None:
                            heard(notice)
            except OperationalError as error:
                log.warning("The database's notices cannot be heard.", action="deaf", error=str(error))
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    @asynccontextmanager
    async def _connected(self) -> "AsyncGenerator[AsyncConnection]":
        """What only listens would not notice that the server is gone, were it not for the network's own signs of life."""
        from psycopg import AsyncConnection
        from psycopg.conninfo import make_conninfo

        url = make_conninfo(self._url, keepalives_idle=30, keepalives_interval=10, keepalives_count=3)
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            yield connection


def notices_of(engines: Engines) -> Notices:
    return NoNotices() if engines.server is None else PostgresNotices(engines.server, engines.backends)


def _payload(notice: Notice) -> str:
    match notice:
        case LookAtQueue():
            return _QUEUE
        case JobChanged(job_id):
            return f"{_CHANGED}{job_id}"
        case CancelAsked(job_id, reason):
            return f"{_CANCEL}{job_id} {reason.value}"


def _notice(payload: str) -> Notice | None:
    """None for what only a newer version understands."""
    match payload.split(" "):
        case ["queue"]:
            return LookAtQueue()
        case ["changed", job_id]:
            return JobChanged(JobId(job_id))
        case ["cancel", job_id, reason] if reason in set(Reason):
            return CancelAsked(JobId(job_id), Reason(reason))
        case _:
            return None
