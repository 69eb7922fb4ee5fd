"""How far runners have come, on a database: `chaser.runners.ports.Runners`."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.ids import JobId
from chaser.runners.demand import State
from chaser.runners.ports import RunnerRow
from chaser.store import demands
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow
from chaser.store.tables import runners

_FRESH = {
    name: bindparam(f"is_{name}", None, type_=runners.c[name].type)
    for name in runners.c.keys()  # noqa: SIM118  # a collection of columns
    if name != "job_id"
}


def _begin(insert: "sqlite.Insert | postgresql.Insert") -> "sqlite.Insert | postgresql.Insert":
    """A later attempt takes the place of an earlier one."""
    return insert.values(job_id=bindparam("of_job"), **_FRESH).on_conflict_do_update(
        index_elements=["job_id"], set_=_FRESH, where=runners.c.attempt < insert.excluded.attempt
    )


_BEGIN = {"sqlite": _begin(sqlite.insert(runners)), "postgresql": _begin(postgresql.insert(runners))}
_its = (runners.c.job_id == bindparam("of_job"), runners.c.attempt == bindparam("of_attempt"))
_OF = select(runners).where(*_its)
_MINTED = (
    update(runners)
    .where(*_its)
    .values({name: _FRESH[name] for name in ("runner_id", "prepared_at", "minted_at")})
)
_ONLINE = update(runners).where(*_its, runners.c.online_at.is_(None)).values(online_at=_FRESH["online_at"])
_REMOVED = (
    update(runners).where(*_its, runners.c.removed_at.is_(None)).values(removed_at=_FRESH["removed_at"])
)


class RunnerTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def begun(self, job_id: JobId, attempt: int, name: str, at: datetime) -> None:
        def write(connection: Connection) -> None:
            # The demand first, as everywhere: the row's reference to its job locks that too.
            demands.reach(connection, job_id, State.STARTING, at)
            begun = {"of_job": job_id, "is_attempt": attempt, "is_name": name, "is_begun_at": at}
            connection.execute(_BEGIN[connection.dialect.name], begun)

        await self._database.write(write)

    async def minted(
        self, job_id: JobId, attempt: int, runner_id: int, prepared_at: datetime, at: datetime
    ) -> None:
        made = {"is_runner_id": runner_id, "is_prepared_at": prepared_at, "is_minted_at": at}
        await self._database.write_alone(
            lambda connection: connection.execute(_MINTED, {**_named(job_id, attempt), **made})
        )

    async def online(self, job_id: JobId, attempt: int, at: datetime) -> None:
        def write(connection: Connection) -> None:
            if connection.execute(_ONLINE, {**_named(job_id, attempt), "is_online_at": at}).rowcount:
                demands.reach(connection, job_id, State.ONLINE, at)

        await self._database.write(write)

    async def removed(self, job_id: JobId, attempt: int, at: datetime) -> None:
        await self._database.write_alone(lambda connection: remove(connection, job_id, attempt, at))

    async def of(self, job_id: JobId, attempt: int) -> RunnerRow | None:
        row = await self._database.read(
            lambda connection: connection.execute(_OF, _named(job_id, attempt)).one_or_none()
        )
        return None if row is None else runner_of(row)


def remove(connection: Connection, job_id: JobId, attempt: int, at: datetime) -> None:
    """Note that its registration is gone; the first time counts."""
    connection.execute(_REMOVED, {**_named(job_id, attempt), "is_removed_at": at})


def _named(job_id: JobId, attempt: int) -> dict[str, object]:
    return {"of_job": job_id, "of_attempt": attempt}


def runner_of(row: AnyRow) -> RunnerRow:
    return RunnerRow(
        job_id=JobId(row.job_id),
        attempt=row.attempt,
        name=row.name,
        begun_at=row.begun_at,
        runner_id=row.runner_id,
        prepared_at=row.prepared_at,
        minted_at=row.minted_at,
        online_at=row.online_at,
        removed_at=row.removed_at,
    )
