"""API keys on a database: `chaser.keys.KeyStore`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from chaser.ids import KeyId
from chaser.keys import ApiKey, Scope
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow
from chaser.store.tables import api_keys


class Keys:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey) -> None:
        await self._database.write(lambda connection: connection.execute(insert(api_keys), _values(key)))

    async def by_public(self, public: str) -> ApiKey | None:
        return await self._database.read(lambda connection: _by_public(connection, public))

    async def list(self) -> Sequence[ApiKey]:
        return await self._database.read(_list)

    async def revoke(self, key_id: KeyId, at: datetime) -> ApiKey | None:
        return await self._database.write(lambda connection: _revoke(connection, key_id, at))


def _by_public(connection: Connection, public: str) -> ApiKey | None:
    row = connection.execute(select(api_keys).where(api_keys.c.public == public)).one_or_none()
    return None if row is None else _key(row)


def _list(connection: Connection) -> Sequence[ApiKey]:
    return [_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.id))]


def _revoke(connection: Connection, key_id: KeyId, at: datetime) -> ApiKey | None:
    connection.execute(
        update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=at)
    )
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    return None if row is None else _key(row)


def _values(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "public": key.public,
        "digest": key.digest,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "profiles": None if key.profiles is None else sorted(key.profiles),
        "max_running": key.max_running,
        "own_jobs": key.own_jobs,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "workspace_prefix": key.workspace_prefix,
    }


def _key(row: AnyRow) -> ApiKey:
    return ApiKey(
        id=KeyId(row.id),
        name=row.name,
        public=row.public,
        digest=row.digest,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        created_at=row.created_at,
        profiles=None if row.profiles is None else frozenset(row.profiles),
        max_running=row.max_running,
        own_jobs=row.own_jobs,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        workspace_prefix=row.workspace_prefix,
    )
