"""Uploads: `chaser.sandboxes.files.UploadRows`."""

from collections.abc import Collection, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from chaser.ids import KeyId, UploadId
from chaser.sandboxes.files import Upload
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow
from chaser.store.tables import uploads


class UploadTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, upload: Upload) -> None:
        await self._database.write(
            lambda connection: connection.execute(insert(uploads).values(asdict(upload)))
        )

    async def get(self, upload_id: UploadId) -> Upload | None:
        found = await self.known([upload_id])
        return found[0] if found else None

    async def known(self, ids: Collection[UploadId]) -> Sequence[Upload]:
        return await self._database.read(lambda connection: _known(connection, ids))

    async def remove(self, upload_id: UploadId) -> bool:
        return await self._database.write(
            lambda connection: (
                connection.execute(delete(uploads).where(uploads.c.id == upload_id)).rowcount > 0
            )
        )


def _known(connection: Connection, ids: Collection[UploadId]) -> Sequence[Upload]:
    rows = connection.execute(select(uploads).where(uploads.c.id.in_(ids)).order_by(uploads.c.id))
    return [_upload(row) for row in rows]


def _upload(row: AnyRow) -> Upload:
    return Upload(
        id=UploadId(row.id),
        key_id=None if row.key_id is None else KeyId(row.key_id),
        size_bytes=row.size_bytes,
        is_tar=row.is_tar,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
