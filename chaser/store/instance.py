"""The installation's own id, made once, and the proof that the sealing keys belong to this database."""

import secrets
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.ids import InstanceId
from chaser.store.sealing import ID_SLICE, Sealer, Unsealable
from chaser.store.tables import instance

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 8
_SLOT = 1

_INSERT = {
    "sqlite": sqlite.insert(instance).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(instance).on_conflict_do_nothing(),
}


def get_or_create(connection: Connection, sealer: Sealer, at: datetime) -> InstanceId:
    """Raises `Unsealable` if the database was made with other sealing keys."""
    row = connection.execute(select(instance)).one_or_none()
    if row is None:
        connection.execute(_INSERT[connection.dialect.name], _fresh(sealer, at))
        row = connection.execute(select(instance)).one()
    if sealer.open(_place(row.id), row.canary) != row.id.encode():
        raise Unsealable("the instance's canary is not its own; restore the database from a backup")
    return InstanceId(row.id)


def reseal_canary(connection: Connection, sealer: Sealer) -> None:
    row = connection.execute(select(instance).with_for_update()).one()
    if row.canary[ID_SLICE] != sealer.current:
        canary = sealer.seal(_place(row.id), row.id.encode())
        connection.execute(update(instance).where(instance.c.slot == _SLOT).values(canary=canary))


def _fresh(sealer: Sealer, at: datetime) -> dict[str, object]:
    instance_id = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    canary = sealer.seal(_place(instance_id), instance_id.encode())
    return {"slot": _SLOT, "id": instance_id, "created_at": at, "canary": canary}


def _place(instance_id: str) -> str:
    return f"instance/{instance_id}"
