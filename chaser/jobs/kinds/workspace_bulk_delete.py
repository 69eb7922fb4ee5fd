"""`workspace.bulk_delete`: many workspaces go; those that are in use stay, unless it is forced."""

from typing import Annotated

from pydantic import Field

from chaser.jobs.deletion import Deletions
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.kind import Admitted, Bounds, ServiceKind
from chaser.jobs.kinds.schema import Strict, WorkspaceSelector
from chaser.jobs.kinds.workspace_delete import IN_USE, Force
from chaser.jobs.reason import Reason
from chaser.keys import Scope
from chaser.sandboxes.workspaces import WorkspaceStore


class BulkDeleteRequest(Strict):
    workspaces: Annotated[list[WorkspaceSelector], Field(min_length=1, max_length=1000)]
    force: Force = False


class WorkspaceBulkDelete(ServiceKind[BulkDeleteRequest]):
    name = "workspace.bulk_delete"
    description = "Deletes workspaces, with their files and their snapshots."
    input = BulkDeleteRequest
    scope = Scope.WORKSPACES_WRITE

    def __init__(self, store: WorkspaceStore, deletions: Deletions) -> None:
        self._store = store
        self._deletions = deletions

    def admit(self, asked: BulkDeleteRequest, bounds: Bounds) -> Admitted:
        named = {f"/workspaces/{at}": selector for at, selector in enumerate(asked.workspaces)}
        return Admitted(asked.model_dump(mode="json"), workspaces=named)

    async def perform(self, job: Job) -> Verdict:
        """Each as far as it can be: one that is in use does not keep the others."""
        asked = BulkDeleteRequest.model_validate(job.input)
        deleted: list[str] = []
        kept: list[dict[str, object]] = []
        for selector in asked.workspaces:
            workspace = await self._store.get(selector)
            if workspace is None:
                continue
            busy = await self._deletions.delete(workspace, force=asked.force)
            if busy is None:
                deleted.append(workspace.id)
            else:
                kept.append({"workspace_id": workspace.id, "busy_with": list(busy.jobs)})
        result: dict[str, object] = {"deleted": deleted, "kept": kept}
        if kept:
            return Verdict(Status.FAILED, Reason.WORKSPACE_IN_USE, f"{len(kept)} are kept. {IN_USE}", result)
        return Verdict(Status.SUCCEEDED, None, None, result)
