"""The App's installations on a database: `chaser.runners.ports.Installations`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.runners.event import InstallationEvent
from chaser.runners.installation import Installation, after, unheard
from chaser.store.database import Database
from chaser.store.tables import installations

_INSERT = {
    "sqlite": sqlite.insert(installations).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(installations).on_conflict_do_nothing(),
}
_ONE = select(installations).where(installations.c.id == bindparam("of_id"))
_LOCKED = _ONE.with_for_update()
_HELD = _ONE.with_for_update(read=True)
_UPDATE = update(installations).where(installations.c.id == bindparam("of_id"))


class InstallationTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Sequence[Installation]:
        return await self._database.read(_listed)


def book(connection: Connection, event: InstallationEvent, at: datetime) -> Installation:
    """The installation after the event."""
    connection.execute(_INSERT[connection.dialect.name], asdict(unheard(event, at)))
    known = Installation(**connection.execute(_LOCKED, {"of_id": event.installation_id}).mappings().one())
    told = after(known, event, at)
    if told != known:
        connection.execute(_UPDATE.values(**asdict(told)), {"of_id": told.id})
    return told


def deleted(connection: Connection, installation_id: int) -> bool:
    """Whether it is known to be. If it is not, it stays so until the transaction has ended."""
    row = connection.execute(_HELD, {"of_id": installation_id}).one_or_none()
    return row is not None and row.deleted_at is not None


def _listed(connection: Connection) -> Sequence[Installation]:
    rows = connection.execute(select(installations).order_by(installations.c.id)).mappings()
    return [Installation(**row) for row in rows]
