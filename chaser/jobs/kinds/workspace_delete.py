"""`workspace.delete`: a workspace goes, with its files and its snapshots."""

from typing import Annotated

from pydantic import Field

from chaser.jobs.deletion import Deletions
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.kind import Admitted, Bounds, ServiceKind
from chaser.jobs.kinds.schema import Strict, WorkspaceSelector
from chaser.jobs.reason import Reason
from chaser.keys import Scope
from chaser.sandboxes.workspaces import WorkspaceStore

IN_USE = "Jobs use it, or wait for it; wait for their end, or delete it with force, which cancels them."

Force = Annotated[
    bool, Field(description="Cancel the jobs that use it, or wait for it, instead of being refused.")
]


class DeleteRequest(Strict):
    workspace: WorkspaceSelector
    force: Force = False


class WorkspaceDelete(ServiceKind[DeleteRequest]):
    name = "workspace.delete"
    description = "Deletes a workspace, with its files and its snapshots."
    input = DeleteRequest
    scope = Scope.WORKSPACES_WRITE

    def __init__(self, store: WorkspaceStore, deletions: Deletions) -> None:
        self._store = store
        self._deletions = deletions

    def admit(self, asked: DeleteRequest, bounds: Bounds) -> Admitted:
        return Admitted(asked.model_dump(mode="json"), workspaces={"/workspace": asked.workspace})

    async def perform(self, job: Job) -> Verdict:
        asked = DeleteRequest.model_validate(job.input)
        workspace = await self._store.get(asked.workspace)
        busy = None if workspace is None else await self._deletions.delete(workspace, force=asked.force)
        if busy is not None:
            return Verdict(Status.FAILED, Reason.WORKSPACE_IN_USE, IN_USE, {"busy_with": list(busy.jobs)})
        return Verdict(Status.SUCCEEDED, None, None, {"deleted": None if workspace is None else workspace.id})
