"""`workspace.write`: an upload becomes a file of a workspace, or a tar what is in a directory of it."""

from collections.abc import Mapping

from pydantic import BaseModel

from chaser.ids import UploadId, WorkspaceId
from chaser.jobs.kinds.workspace_change import WorkspaceChange
from chaser.sandboxes.inside import inside
from chaser.sandboxes.tools import Errand
from chaser.sandboxes.workspace_files import WorkspaceFiles


class WriteAsk(BaseModel):
    workspace: str
    path: str
    """Percent-encoded."""
    upload: str


class WorkspaceWrite(WorkspaceChange[WriteAsk]):
    name = "workspace.write"
    description = "Writes files into a workspace."
    input = WriteAsk

    def __init__(self, files: WorkspaceFiles) -> None:
        self._files = files

    async def change(
        self, errand: Errand, workspace_id: WorkspaceId, asked: WriteAsk
    ) -> Mapping[str, object]:
        await self._files.write(errand, workspace_id, inside(asked.path), UploadId(asked.upload))
        return {}
