"""`workspace.clone`: a new workspace with what another holds. The job stands in that one's line."""

from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel

from chaser.clock import Clock
from chaser.ids import WorkspaceId
from chaser.jobs.kinds.workspace_change import WorkspaceChange
from chaser.sandboxes.snapshots import Snapshots
from chaser.sandboxes.tools import Errand
from chaser.sandboxes.workspaces import Workspace


class CloneAsk(BaseModel):
    workspace: str
    clone: str
    """The id that the new one will have."""
    name: str
    image: str | None
    ttl_ms: int | None
    quota_bytes: int | None


class WorkspaceClone(WorkspaceChange[CloneAsk]):
    name = "workspace.clone"
    description = "Makes a workspace with what another holds."
    input = CloneAsk

    def __init__(self, snapshots: Snapshots, clock: Clock) -> None:
        self._snapshots = snapshots
        self._clock = clock

    async def change(
        self, errand: Errand, workspace_id: WorkspaceId, asked: CloneAsk
    ) -> Mapping[str, object]:
        clone = await self._snapshots.clone(errand, workspace_id, self._new(asked))
        return {"workspace_id": clone.id}

    def _new(self, asked: CloneAsk) -> Workspace:
        now = self._clock.now()
        ttl = None if asked.ttl_ms is None else timedelta(milliseconds=asked.ttl_ms)
        return Workspace(
            id=WorkspaceId(asked.clone),
            name=asked.name,
            created_at=now,
            last_used_at=now,
            image=asked.image,
            ttl=ttl,
            expires_at=None if ttl is None else now + ttl,
            quota_bytes=asked.quota_bytes,
        )
