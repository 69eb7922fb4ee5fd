"""New jobs that come at the same time, on SQLite: those that arrive while its one writer is busy are written by one statement
when its turn comes. Of all that a job costs until it is on disk, its own statement would be the most."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from chaser.jobs.job import NewJob
from chaser.jobs.ports import Enqueued
from chaser.store.database import Database
from chaser.store.enqueue import enqueue_each
from chaser.store.sealing import Sealer


@dataclass(slots=True)
class _Batch:
    closed: bool = False
    new: list[NewJob] = field(default_factory=list[NewJob])
    written: "asyncio.Task[Sequence[Enqueued]] | None" = None


class Arrivals:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._open = _Batch(closed=True)
        self._closing = Lock()
        """Between the event loop, which adds to a batch, and the writer's thread, which closes it."""

    async def enqueue(self, new: NewJob) -> Enqueued:
        """When this returns it is on disk. Raises `Unavailable`."""
        batch, place = self._join(new)
        if batch.written is None:
            batch.written = asyncio.create_task(self._write(batch))
        try:
            # Whoever gives up waiting takes nothing from the others.
            return (await asyncio.shield(batch.written))[place]
        except DBAPIError:
            if len(batch.new) == 1:
                raise
        # Another of them may have been at fault.
        alone = _Batch(closed=True, new=[new])
        return (await self._write(alone))[0]

    def _join(self, new: NewJob) -> tuple[_Batch, int]:
        with self._closing:
            if self._open.closed:
                self._open = _Batch()
            self._open.new.append(new)
            return self._open, len(self._open.new) - 1

    async def _write(self, batch: _Batch) -> Sequence[Enqueued]:
        try:
            return await self._database.write(lambda connection: self._enqueue(connection, batch))
        finally:
            # Where the transaction could not even begin it is open still, and whoever joined it would fail as it did.
            with self._closing:
                batch.closed = True

    def _enqueue(self, connection: Connection, batch: _Batch) -> Sequence[Enqueued]:
        with self._closing:
            batch.closed = True
        now = self._database.moment(batch.new[0].created_at)
        return enqueue_each(connection, self._sealer, batch.new, now)
