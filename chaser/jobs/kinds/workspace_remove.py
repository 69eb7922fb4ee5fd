"""`workspace.remove`: a file of a workspace goes, or a directory with all that is in it."""

from collections.abc import Mapping

from pydantic import BaseModel

from chaser.errors import Rejected
from chaser.ids import WorkspaceId
from chaser.jobs.kinds.workspace_change import WorkspaceChange
from chaser.sandboxes.inside import inside
from chaser.sandboxes.tools import Errand
from chaser.sandboxes.workspace_files import WorkspaceFiles


class RemoveAsk(BaseModel):
    workspace: str
    path: str
    """Percent-encoded."""


class WorkspaceRemove(WorkspaceChange[RemoveAsk]):
    name = "workspace.remove"
    description = "Removes files from a workspace."
    input = RemoveAsk

    def __init__(self, files: WorkspaceFiles) -> None:
        self._files = files

    async def change(
        self, errand: Errand, workspace_id: WorkspaceId, asked: RemoveAsk
    ) -> Mapping[str, object]:
        try:
            await self._files.remove(errand, workspace_id, inside(asked.path))
        except Rejected as error:
            # An attempt before this one may have come so far that it is gone.
            if error.code != "file_not_found" or errand.attempt == 1:
                raise
        return {}
