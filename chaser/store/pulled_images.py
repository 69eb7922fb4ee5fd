"""The images that were pulled here, on a database: `chaser.sandboxes.pulled_images.PulledRows`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from chaser.sandboxes.pulled_images import PulledImage
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow
from chaser.store.tables import pulled_images

_AT = pulled_images.c.used_at.type
_its = (
    pulled_images.c.engine_id == bindparam("of_engine"),
    pulled_images.c.reference == bindparam("of_reference"),
)
_GET = select(pulled_images).where(*_its)
_DELETE = delete(pulled_images).where(*_its)
_USED = update(pulled_images).where(*_its).values(used_at=bindparam("at", type_=_AT))
_LEAST_USED = (
    select(pulled_images)
    .where(
        pulled_images.c.engine_id == bindparam("of_engine"),
        pulled_images.c.used_at < bindparam("before", type_=_AT),
    )
    .order_by(pulled_images.c.used_at, pulled_images.c.reference)
)


class PulledImageTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, pulled: PulledImage) -> None:
        def write(connection: Connection) -> None:
            connection.execute(_DELETE, _named(pulled.engine_id, pulled.reference))
            values = {
                "engine_id": pulled.engine_id,
                "reference": pulled.reference,
                "image_id": pulled.image_id,
                "names": list(pulled.names),
                "used_at": pulled.used_at,
            }
            connection.execute(insert(pulled_images), values)

        await self._database.write(write)

    async def get(self, engine_id: str, reference: str) -> PulledImage | None:
        row = await self._database.read(
            lambda connection: connection.execute(_GET, _named(engine_id, reference)).one_or_none()
        )
        return None if row is None else _pulled(row)

    async def used(self, engine_id: str, reference: str, at: datetime) -> None:
        await self._database.write_alone(
            lambda connection: connection.execute(_USED, {**_named(engine_id, reference), "at": at})
        )

    async def least_used(self, engine_id: str, before: datetime) -> Sequence[PulledImage]:
        rows = await self._database.read(
            lambda connection: connection.execute(
                _LEAST_USED, {"of_engine": engine_id, "before": before}
            ).all()
        )
        return [_pulled(row) for row in rows]

    async def forget(self, engine_id: str, reference: str) -> None:
        await self._database.write_alone(
            lambda connection: connection.execute(_DELETE, _named(engine_id, reference))
        )


def _pulled(row: AnyRow) -> PulledImage:
    return PulledImage(row.engine_id, row.reference, row.image_id, tuple(row.names), row.used_at)


def _named(engine_id: str, reference: str) -> dict[str, object]:
    return {"of_engine": engine_id, "of_reference": reference}
