"""Workspaces and their snapshots on a database: `chaser.sandboxes.workspaces.WorkspaceStore`."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.errors import Unavailable
from chaser.ids import JobId, SnapshotId, WorkspaceId
from chaser.jobs.ports import SandboxRow
from chaser.jobs.reason import Reason
from chaser.sandboxes.workspaces import Busy, Deleted, Snapshot, Workspace, folded, is_id
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow
from chaser.store.tables import sandboxes, snapshots, turns, workspaces

_INSERT = {
    "sqlite": sqlite.insert(workspaces).on_conflict_do_nothing().returning(*workspaces.c),
    "postgresql": postgresql.insert(workspaces).on_conflict_do_nothing().returning(*workspaces.c),
}
_INSERT_SNAPSHOT = {
    "sqlite": sqlite.insert(snapshots).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(snapshots).on_conflict_do_nothing(),
}
_MILLISECOND = timedelta(milliseconds=1)


class Workspaces:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: Workspace) -> Workspace | None:
        return await self._database.write(lambda connection: _add(connection, new))

    async def find_or_add(self, new: Workspace) -> Workspace:
        return await self._database.write(lambda connection: _find_or_add(connection, new))

    async def get(self, selector: str) -> Workspace | None:
        return await self._database.read(lambda connection: _get(connection, selector))

    async def list(self, prefix: str, before: WorkspaceId | None, limit: int) -> Sequence[Workspace]:
        return await self._database.read(lambda connection: _list(connection, prefix, before, limit))

    async def settle(self, workspace: WorkspaceId, engine_id: str) -> Workspace | None:
        return await self._database.write(lambda connection: _settle(connection, workspace, engine_id))

    async def used(self, workspace: WorkspaceId, at: datetime) -> None:
        await self._database.write(lambda connection: _used(connection, workspace, at))

    async def sized(self, workspace: WorkspaceId, size_bytes: int, at: datetime) -> None:
        values = {"size_bytes": size_bytes, "sized_at": at}
        await self._database.write(
            lambda connection: connection.execute(
                update(workspaces).where(workspaces.c.id == workspace).values(values)
            )
        )

    async def users(self, workspace: WorkspaceId) -> Sequence[JobId]:
        return await self._database.read(lambda connection: _users(connection, workspace))

    async def expired(self, now: datetime) -> Sequence[Workspace]:
        over = (
            select(workspaces)
            .where(workspaces.c.expires_at.is_not(None), workspaces.c.expires_at <= now)
            .order_by(workspaces.c.expires_at)
        )
        return await self._database.read(
            lambda connection: [_workspace(row) for row in connection.execute(over)]
        )

    async def delete(
        self, workspace: WorkspaceId, *, expired_at: datetime | None = None
    ) -> Deleted | Busy | None:
        return await self._database.write(lambda connection: _delete(connection, workspace, expired_at))

    async def add_snapshot(self, snapshot: Snapshot) -> bool:
        return await self._database.write(lambda connection: _add_snapshot(connection, snapshot))

    async def snapshots(self, workspace: WorkspaceId) -> Sequence[Snapshot]:
        of_it = select(snapshots).where(snapshots.c.workspace_id == workspace).order_by(snapshots.c.id.desc())
        return await self._database.read(
            lambda connection: [_snapshot(row) for row in connection.execute(of_it)]
        )

    async def snapshot(self, workspace: WorkspaceId, snapshot: SnapshotId) -> Snapshot | None:
        one = select(snapshots).where(snapshots.c.workspace_id == workspace, snapshots.c.id == snapshot)
        row = await self._database.read(lambda connection: connection.execute(one).one_or_none())
        return None if row is None else _snapshot(row)

    async def complete(self, snapshot: SnapshotId, size_bytes: int) -> Snapshot | None:
        whole = (
            update(snapshots)
            .where(snapshots.c.id == snapshot)
            .values(size_bytes=size_bytes)
            .returning(*snapshots.c)
        )
        row = await self._database.write(lambda connection: connection.execute(whole).one_or_none())
        return None if row is None else _snapshot(row)

    async def delete_snapshot(self, snapshot: SnapshotId) -> bool:
        gone = delete(snapshots).where(snapshots.c.id == snapshot)
        return await self._database.write(lambda connection: connection.execute(gone).rowcount == 1)

    async def adopt(self, snapshot: SnapshotId, new: Workspace) -> Workspace | None:
        return await self._database.write(lambda connection: _adopt(connection, snapshot, new))

    async def name_tool(self, row: SandboxRow) -> None:
        await self._database.write(lambda connection: _name_tool(connection, row))

    async def kept(self, ids: Collection[str]) -> frozenset[str]:
        return await self._database.read(lambda connection: _kept(connection, ids))


def _add(connection: Connection, new: Workspace) -> Workspace | None:
    row = connection.execute(_INSERT[connection.dialect.name], _values(new)).one_or_none()
    return None if row is None else _workspace(row)


def _find_or_add(connection: Connection, new: Workspace) -> Workspace:
    """The insert waits for a rival that has not committed yet, and then gives way to it. One that was deleted between
    the two statements makes another round."""
    while True:
        found = _get(connection, new.name) or _add(connection, new)
        if found is not None:
            return found


def _get(connection: Connection, selector: str) -> Workspace | None:
    named = workspaces.c.id == selector if is_id(selector) else workspaces.c.folded == folded(selector)
    row = connection.execute(select(workspaces).where(named)).one_or_none()
    return None if row is None else _workspace(row)


def _list(connection: Connection, prefix: str, before: WorkspaceId | None, limit: int) -> Sequence[Workspace]:
    wanted = select(workspaces).where(workspaces.c.folded.startswith(prefix, autoescape=True))
    if before is not None:
        wanted = wanted.where(workspaces.c.id < before)
    rows = connection.execute(wanted.order_by(workspaces.c.id.desc()).limit(limit))
    return [_workspace(row) for row in rows]


def _settle(connection: Connection, workspace: WorkspaceId, engine_id: str) -> Workspace | None:
    row = connection.execute(
        update(workspaces)
        .where(workspaces.c.id == workspace)
        .values(engine_id=case((workspaces.c.engine_id.is_(None), engine_id), else_=workspaces.c.engine_id))
        .returning(*workspaces.c)
    ).one_or_none()
    return None if row is None else _workspace(row)


def _used(connection: Connection, workspace: WorkspaceId, at: datetime) -> None:
    ttl_ms = connection.execute(
        select(workspaces.c.ttl_ms).where(workspaces.c.id == workspace)
    ).scalar_one_or_none()
    expires_at = None if ttl_ms is None else at + ttl_ms * _MILLISECOND
    connection.execute(
        update(workspaces).where(workspaces.c.id == workspace).values(last_used_at=at, expires_at=expires_at)
    )


def _users(connection: Connection, workspace: WorkspaceId) -> Sequence[JobId]:
    line = select(turns.c.job_id).where(turns.c.key == f"workspace:{workspace}").order_by(turns.c.number)
    return [JobId(each) for each in connection.execute(line).scalars()]


def _delete(
    connection: Connection, workspace: WorkspaceId, expired_at: datetime | None
) -> Deleted | Busy | None:
    """A job that is written while this goes on finds, once its turn has come, that the workspace is gone."""
    one = select(workspaces.c.expires_at).where(workspaces.c.id == workspace).with_for_update()
    row = connection.execute(one).one_or_none()
    if row is None or (expired_at is not None and (row.expires_at is None or row.expires_at > expired_at)):
        return None
    if users := _users(connection, workspace):
        return Busy(users)
    of_it = connection.execute(select(snapshots.c.id).where(snapshots.c.workspace_id == workspace))
    deleted = Deleted([SnapshotId(each) for each in of_it.scalars()])
    connection.execute(delete(workspaces).where(workspaces.c.id == workspace))
    return deleted


def _add_snapshot(connection: Connection, snapshot: Snapshot) -> bool:
    there = select(workspaces.c.id).where(workspaces.c.id == snapshot.workspace_id).with_for_update(read=True)
    if connection.execute(there).one_or_none() is None:
        return False
    connection.execute(_INSERT_SNAPSHOT[connection.dialect.name], asdict(snapshot))
    return True


def _adopt(connection: Connection, snapshot: SnapshotId, new: Workspace) -> Workspace | None:
    earlier = _get(connection, new.id)
    if earlier is not None:
        return earlier
    one = select(snapshots.c.id).where(snapshots.c.id == snapshot).with_for_update()
    if connection.execute(one).one_or_none() is None:
        return None
    made = _add(connection, new)
    if made is not None:
        connection.execute(delete(snapshots).where(snapshots.c.id == snapshot))
    return made


def _name_tool(connection: Connection, row: SandboxRow) -> None:
    if row.job_id is not None:
        earlier = select(sandboxes.c.id).where(
            sandboxes.c.job_id == row.job_id, sandboxes.c.gone_at.is_(None)
        )
        if connection.execute(earlier).first() is not None:
            message = "The tool of an earlier attempt is not confirmed gone; its engine must answer first."
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, message)
    connection.execute(insert(sandboxes), asdict(row))


def _kept(connection: Connection, ids: Collection[str]) -> frozenset[str]:
    # In this order: a snapshot that becomes a workspace between the two is seen as the one or as the other.
    of_snapshots = connection.execute(select(snapshots.c.id).where(snapshots.c.id.in_(ids))).scalars().all()
    of_workspaces = connection.execute(select(workspaces.c.id).where(workspaces.c.id.in_(ids))).scalars()
    return frozenset((*of_snapshots, *of_workspaces))


def _values(new: Workspace) -> dict[str, object]:
    return {
        "id": new.id,
        "name": new.name,
        "folded": folded(new.name),
        "engine_id": new.engine_id,
        "image": new.image,
        "created_at": new.created_at,
        "last_used_at": new.last_used_at,
        "ttl_ms": None if new.ttl is None else new.ttl // _MILLISECOND,
        "expires_at": new.expires_at,
        "size_bytes": new.size_bytes,
        "sized_at": new.sized_at,
        "quota_bytes": new.quota_bytes,
    }


def _workspace(row: AnyRow) -> Workspace:
    return Workspace(
        id=WorkspaceId(row.id),
        name=row.name,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        engine_id=row.engine_id,
        image=row.image,
        ttl=None if row.ttl_ms is None else row.ttl_ms * _MILLISECOND,
        expires_at=row.expires_at,
        size_bytes=row.size_bytes,
        sized_at=row.sized_at,
        quota_bytes=row.quota_bytes,
    )


def _snapshot(row: AnyRow) -> Snapshot:
    return Snapshot(
        id=SnapshotId(row.id),
        workspace_id=WorkspaceId(row.workspace_id),
        name=row.name,
        created_at=row.created_at,
        size_bytes=row.size_bytes,
    )
