"""Passes of the setup page: `chaser.runners.passes.Passes`."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, insert, select

from chaser.runners.passes import LIFETIME, Pass, Purpose
from chaser.store.database import Database
from chaser.store.tables import setup_passes


class PassTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, issued: Pass) -> None:
        expired = delete(setup_passes).where(setup_passes.c.expires_at <= issued.expires_at - LIFETIME)
        added = insert(setup_passes).values(asdict(issued))
        await self._database.write(
            lambda connection: (connection.execute(expired), connection.execute(added))
        )

    async def take(self, digest: str, purpose: Purpose, now: datetime, bound_to: str | None = None) -> bool:
        """One statement, so that of two who come with the same pass one is turned away."""
        taken = delete(setup_passes).where(
            setup_passes.c.digest == digest,
            setup_passes.c.purpose == purpose.value,
            setup_passes.c.expires_at > now,
            setup_passes.c.bound_to.is_(None) if bound_to is None else setup_passes.c.bound_to == bound_to,
        )
        return await self._database.write(lambda connection: connection.execute(taken).rowcount == 1)

    async def valid(self, digest: str, purpose: Purpose, now: datetime) -> bool:
        found = select(setup_passes.c.digest).where(
            setup_passes.c.digest == digest,
            setup_passes.c.purpose == purpose.value,
            setup_passes.c.expires_at > now,
        )
        return await self._database.read(lambda connection: connection.execute(found).first() is not None)
