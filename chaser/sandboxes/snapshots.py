"""What a workspace held at one moment: made, brought back, made a workspace of its own.

A snapshot is a volume with a whole copy in it, exact in modes, owners, times and links. Its row is there before the volume
is, so that the volume belongs to somebody from the first; with its size in the row it is whole. A clone is a snapshot that
becomes a workspace: its volume stays where it is.
"""

from dataclasses import replace
from datetime import timedelta

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Rejected, Unavailable
from chaser.ids import SnapshotId, WorkspaceId
from chaser.jobs.reason import Reason
from chaser.sandboxes import tool_scripts as scripts
from chaser.sandboxes.engine import Engine
from chaser.sandboxes.labels import volume_name
from chaser.sandboxes.tools import Errand, Tools, Work
from chaser.sandboxes.volumes import Volumes
from chaser.sandboxes.workspaces import Snapshot, Workspace, WorkspaceStore

log = structlog.stdlib.get_logger()


class Snapshots:
    """Each method may be repeated, as a job that is taken up again does. They are called with a turn in the line of the
    workspace that is read, or changed."""

    def __init__(
        self,
        engine: Engine,
        store: WorkspaceStore,
        volumes: Volumes,
        tools: Tools,
        clock: Clock,
        *,
        time: timedelta,
    ) -> None:
        """`time`: how long a copy may take."""
        self._engine = engine
        self._store = store
        self._volumes = volumes
        self._tools = tools
        self._clock = clock
        self._time = time

    async def take(self, errand: Errand, snapshot: Snapshot) -> Snapshot:
        """Raises `Refused`, and then nothing of it is left."""
        try:
            return await self._taken(errand, snapshot)
        except Refused:
            await self.delete(snapshot.id)
            raise

    async def restore(self, errand: Errand, workspace_id: WorkspaceId, snapshot_id: SnapshotId) -> None:
        """Make the workspace hold what the snapshot holds, and nothing else."""
        workspace = await self._volumes.present(workspace_id)
        snapshot = await self._store.snapshot(workspace_id, snapshot_id)
        if snapshot is None:
            raise Rejected(404, "snapshot_not_found", "There is no such snapshot of this workspace.")
        if snapshot.size_bytes is None:
            raise Rejected(
                409, "snapshot_incomplete", "The snapshot was never completed; there is nothing to restore."
            )
        if workspace.quota_bytes is not None and snapshot.size_bytes > workspace.quota_bytes:
            message = f"The snapshot holds {snapshot.size_bytes} bytes, more than the quota of {workspace.quota_bytes}."
            raise Rejected(409, "quota_exceeded", message)
        size = await self._copied(errand, volume_name(snapshot.id), volume_name(workspace.id))
        await self._store.sized(workspace.id, size, self._clock.now())

    async def clone(self, errand: Errand, source: WorkspaceId, new: Workspace) -> Workspace:
        """A new workspace with what the source holds."""
        made = await self._store.get(new.id)
        if made is not None:
            return made  # an earlier attempt came so far
        taken = await self.take(errand, Snapshot(_as_snapshot(new.id), source, None, self._clock.now()))
        clone = await self._store.adopt(taken.id, await self._filled(new, taken))
        if clone is None:
            await self.delete(taken.id)
            raise Rejected(409, "workspace_exists", "A workspace of this name was made meanwhile.")
        return clone

    async def delete(self, snapshot_id: SnapshotId) -> bool:
        """False if there was none. A volume that is in use goes later."""
        found = await self._store.delete_snapshot(snapshot_id)
        await drop_volume(self._engine, snapshot_id)
        return found

    async def _taken(self, errand: Errand, snapshot: Snapshot) -> Snapshot:
        workspace = await self._volumes.present(snapshot.workspace_id)
        if not await self._store.add_snapshot(snapshot):
            raise _gone()
        volume = volume_name(snapshot.id)
        await self._engine.create_volume(self._tools.volume(volume))
        size = await self._copied(errand, volume_name(workspace.id), volume)
        whole = await self._store.complete(snapshot.id, size)
        if whole is None:
            raise _gone()
        return whole

    async def _copied(self, errand: Errand, source: str, target: str) -> int:
        """How many bytes there are now."""
        work = Work(
            {scripts.FROM: source, scripts.TO: target},
            scripts.COPY,
            read_only=frozenset({scripts.FROM}),
            errand=errand,
        )
        async with self._tools.made(work) as tool:
            result = await tool.run(self._time)
        if result.exit_code != 0:
            log.error("A copy has failed.", action="copy_failed", words=result.words)
            message = "The copy could not be made whole: is the engine's disk full? The service's log has the words."
            raise Refused(Reason.WORKSPACE_UNAVAILABLE, message)
        return scripts.sized(result.output)

    async def _filled(self, new: Workspace, taken: Snapshot) -> Workspace:
        engine_id = (await self._engine.info()).id
        return replace(new, engine_id=engine_id, size_bytes=taken.size_bytes, sized_at=self._clock.now())


async def drop_volume(engine: Engine, owner: WorkspaceId | SnapshotId) -> None:
    """Remove a volume whose owner's row is gone. If that cannot be now, the sweep for orphans finds it."""
    try:
        await engine.remove_volume(volume_name(owner))
    except Unavailable as error:
        log.warning("A volume is removed later.", action="volume_later", owner=owner, error=error.message)


def _as_snapshot(workspace_id: WorkspaceId) -> SnapshotId:
    """The snapshot that will be this workspace: its volume has the same name."""
    return SnapshotId("snp_" + workspace_id.removeprefix("wsp_"))


def _gone() -> Refused:
    return Refused(Reason.WORKSPACE_NOT_FOUND, "The workspace, or its snapshot, was deleted meanwhile.")
