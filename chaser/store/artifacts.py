"""What jobs have left: `chaser.sandboxes.files.ArtifactRows`."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from chaser.ids import JobId
from chaser.sandboxes.files import Artifact
from chaser.store import tables
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow

_ROWS = tables.artifacts


class ArtifactTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, job_id: JobId, artifacts: Sequence[Artifact]) -> None:
        await self._database.write(lambda connection: _replace(connection, job_id, artifacts))

    async def list(self, job_id: JobId) -> Sequence[Artifact]:
        return await self._database.read(lambda connection: _list(connection, job_id))

    async def get(self, job_id: JobId, path: str) -> Artifact | None:
        return await self._database.read(lambda connection: _get(connection, job_id, path))


def _replace(connection: Connection, job_id: JobId, new: Sequence[Artifact]) -> None:
    connection.execute(delete(_ROWS).where(_ROWS.c.job_id == job_id))
    there = connection.execute(select(tables.jobs.c.id).where(tables.jobs.c.id == job_id)).one_or_none()
    if there is not None and new:
        connection.execute(insert(_ROWS), [{"job_id": job_id, **asdict(each)} for each in new])


def _list(connection: Connection, job_id: JobId) -> Sequence[Artifact]:
    rows = connection.execute(select(_ROWS).where(_ROWS.c.job_id == job_id).order_by(_ROWS.c.path))
    return [_artifact(row) for row in rows]


def _get(connection: Connection, job_id: JobId, path: str) -> Artifact | None:
    row = connection.execute(
        select(_ROWS).where(_ROWS.c.job_id == job_id, _ROWS.c.path == path)
    ).one_or_none()
    return None if row is None else _artifact(row)


def _artifact(row: AnyRow) -> Artifact:
    return Artifact(path=row.path, size_bytes=row.size_bytes, mode=row.mode, file=row.file)
