"""The database: transactions, run to their end in threads of the store's own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, text

from chaser.store.engines import Engines
from chaser.store.transactions import transact
from chaser.store.writers import ManyWriters, OneWriter, Writers

T = TypeVar("T")

_PING = text("SELECT version_num FROM alembic_version")
"""A read that must go to the file, or to the server."""


class Database:
    def __init__(self, engines: Engines, *, given_time: bool = False) -> None:
        """`given_time`: see `moment`; for tests."""
        self.engines = engines
        self._given_time = given_time or engines.server is None
        self._writers: Writers = (
            OneWriter(engines.writing)
            if engines.server is None
            else ManyWriters(engines.writing, engines.single, engines.writers)
        )
        self._readers = ThreadPoolExecutor(engines.readers, thread_name_prefix="store-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; when this returns, it is on disk. `work` may run twice, in two transactions.

        Cancelling the caller does not undo it: what has begun is finished. Raises `Unavailable`.
        """
        return await self._writers.write(work)

    async def write_alone(self, work: Callable[[Connection], T]) -> T:
        """As `write`, for what is one statement on PostgreSQL: that needs no BEGIN and COMMIT around it there."""
        return await self._writers.write(work, alone=True)

    def moment(self, now: datetime) -> datetime | None:
        """What to bind to `chaser.store.moments.NOW`; none: the server's own clock."""
        return now if self._given_time else None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that writes nothing. Raises `Unavailable`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, transact, self.engines.reading, work)

    async def ping(self) -> None:
        await self.read(lambda connection: connection.execute(_PING).scalars().all())

    async def close(self) -> None:
        """After the transactions that have begun. Nothing may be asked of it afterwards."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._writers.shut()
        self._readers.shutdown()
        self.engines.dispose()
