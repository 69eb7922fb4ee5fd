"""The database: each transaction is one plain function, run to its end in a thread of the store's own.

There is no `await` inside a transaction, so none is ever held open by the event loop.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from chaser.store.engines import Engines
from chaser.store.outages import outage, undone

T = TypeVar("T")

_PING = text("SELECT version_num FROM alembic_version")
"""A read that must go to the file, or to the server."""


class Database:
    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._writers = ThreadPoolExecutor(engines.writers, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(engines.readers, thread_name_prefix="store-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; when this returns, it is on disk. `work` may run twice, in two transactions.

        Cancelling the caller does not undo it: what has begun is finished. Raises `Unavailable`.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writers, transact, self._engines.writing, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that writes nothing. Raises `Unavailable`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, transact, self._engines.reading, work)

    async def ping(self) -> None:
        await self.read(lambda connection: connection.execute(_PING).scalars().all())

    async def close(self) -> None:
        """After the transactions that have begun. Nothing may be asked of it afterwards."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._writers.shutdown()
        self._readers.shutdown()
        self._engines.dispose()


def transact(engine: Engine, work: Callable[[Connection], T], *, again: bool = True) -> T:
    """Run `work` in a transaction of its own, in this thread. Raises `Unavailable`."""
    committing = False
    try:
        with engine.begin() as connection:
            result = work(connection)
            committing = True
        return result
    except DBAPIError as error:
        # Before the commit nothing has happened yet; while it is under way, nobody knows.
        if again and not committing and undone(error):
            return transact(engine, work, again=False)
        fault = outage(error)
        if fault is None:
            raise
        raise fault from error
