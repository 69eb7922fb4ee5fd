"""`workspace.restore`: a workspace holds again what a snapshot of it holds, and nothing else."""

from collections.abc import Mapping

from pydantic import BaseModel

from chaser.ids import SnapshotId, WorkspaceId
from chaser.jobs.kinds.workspace_change import WorkspaceChange
from chaser.sandboxes.snapshots import Snapshots
from chaser.sandboxes.tools import Errand


class RestoreAsk(BaseModel):
    workspace: str
    snapshot: str


class WorkspaceRestore(WorkspaceChange[RestoreAsk]):
    name = "workspace.restore"
    description = "Brings a workspace back to one of its snapshots."
    input = RestoreAsk

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    async def change(
        self, errand: Errand, workspace_id: WorkspaceId, asked: RestoreAsk
    ) -> Mapping[str, object]:
        await self._snapshots.restore(errand, workspace_id, SnapshotId(asked.snapshot))
        return {}
