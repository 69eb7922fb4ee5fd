"""The end of a key rotation: everything that an older key seals is sealed anew with the first one."""

from sqlalchemy import Connection, func, select, update

from chaser.store.database import Database
from chaser.store.instance import reseal_canary
from chaser.store.job_rows import place
from chaser.store.sealing import ID_SLICE, Sealer
from chaser.store.tables import jobs

_BATCH = 200
"""Rows in one transaction, so that nobody waits long for the writer."""


async def reseal(database: Database, sealer: Sealer) -> int:
    """Seal every row with the first key; returns how many needed it. Afterwards the older keys may go.

    May be stopped at any time and begun again. The canary comes last: it says that the older key is still needed.
    """
    total = 0
    while done := await database.write(lambda connection: _batch(connection, sealer)):
        total += done
    await database.write(lambda connection: reseal_canary(connection, sealer))
    return total


def _batch(connection: Connection, sealer: Sealer) -> int:
    own_key = func.substr(jobs.c.sealed, ID_SLICE.start + 1, ID_SLICE.stop - ID_SLICE.start)
    rows = connection.execute(
        select(jobs.c.id, jobs.c.sealed)
        .where(jobs.c.sealed.is_not(None), own_key != sealer.current)
        .limit(_BATCH)
        .with_for_update()
    ).all()
    for row in rows:
        sealed = sealer.seal(place(row.id), sealer.open(place(row.id), row.sealed))
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(sealed=sealed))
    return len(rows)
