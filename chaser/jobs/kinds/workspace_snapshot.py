"""`workspace.snapshot`: what a workspace holds now is kept beside it."""

from collections.abc import Mapping

from pydantic import BaseModel

from chaser.clock import Clock
from chaser.ids import SnapshotId, WorkspaceId
from chaser.jobs.kinds.workspace_change import WorkspaceChange
from chaser.sandboxes.snapshots import Snapshots
from chaser.sandboxes.tools import Errand
from chaser.sandboxes.workspaces import Snapshot


class SnapshotAsk(BaseModel):
    workspace: str
    snapshot: str
    """The id that it will have."""
    name: str | None


class WorkspaceSnapshot(WorkspaceChange[SnapshotAsk]):
    name = "workspace.snapshot"
    description = "Keeps what a workspace holds."
    input = SnapshotAsk

    def __init__(self, snapshots: Snapshots, clock: Clock) -> None:
        self._snapshots = snapshots
        self._clock = clock

    async def change(
        self, errand: Errand, workspace_id: WorkspaceId, asked: SnapshotAsk
    ) -> Mapping[str, object]:
        snapshot = Snapshot(SnapshotId(asked.snapshot), workspace_id, asked.name, self._clock.now())
        taken = await self._snapshots.take(errand, snapshot)
        return {"snapshot": taken.id, "size_bytes": taken.size_bytes}
