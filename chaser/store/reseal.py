"""The end of a key rotation: everything that an older key seals is sealed anew with the first one."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Column, Connection, func, select, update

from chaser.store import apps, job_rows, stays
from chaser.store.database import Database
from chaser.store.instance import reseal_canary
from chaser.store.sealing import ID_SLICE, Sealer
from chaser.store.tables import github_apps, jobs, sandboxes

_BATCH = 200
"""Rows in one transaction, so that nobody waits long for the writer."""


async def reseal(database: Database, sealer: Sealer) -> int:
    """Seal every row with the first key; returns how many needed it. Afterwards the older keys may go.

    May be stopped at any time and begun again. The canary comes last: it says that the older key is still needed.
    """
    total = 0
    for column, place in (
        (jobs.c.sealed, job_rows.place),
        (sandboxes.c.terms, stays.place),
        (github_apps.c.sealed, apps.place),
    ):
        while done := await database.write(partial(_batch, sealer=sealer, column=column, place=place)):
            total += done
    await database.write(lambda connection: reseal_canary(connection, sealer))
    return total


def _batch(connection: Connection, sealer: Sealer, column: Column[bytes], place: Callable[[str], str]) -> int:
    table = column.table
    own_key = func.substr(column, ID_SLICE.start + 1, ID_SLICE.stop - ID_SLICE.start)
    rows = connection.execute(
        select(table.c.id, column.label("sealed"))
        .where(column.is_not(None), own_key != sealer.current)
        .limit(_BATCH)
        .with_for_update()
    ).all()
    for row in rows:
        sealed = sealer.seal(place(row.id), sealer.open(place(row.id), row.sealed))
        connection.execute(update(table).where(table.c.id == row.id).values({column: sealed}))
    return len(rows)
