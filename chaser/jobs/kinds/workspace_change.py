"""What changes a workspace from outside of any sandbox: done by jobs, so that it waits its turn in the workspace's line, and
nothing else happens to the workspace meanwhile. The service makes them itself, for calls of the API that wait for them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import BaseModel

from chaser.errors import Rejected
from chaser.ids import WorkspaceId
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.kind import Admitted, Bounds, ServiceKind
from chaser.jobs.reason import Reason
from chaser.jobs.row import integer, text
from chaser.sandboxes.tools import Errand

AskT = TypeVar("AskT", bound=BaseModel)

_STATUS, _CODE = "http_status", "code"
CHANGES: Final = frozenset(
    {"workspace.write", "workspace.remove", "workspace.snapshot", "workspace.restore", "workspace.clone"}
)
"""The names of these kinds. None of them takes long in line: who comes upon one waits, and is not refused."""


class WorkspaceChange(ServiceKind[AskT]):
    open = False

    def admit(self, asked: AskT, bounds: Bounds) -> Admitted:
        return Admitted(asked.model_dump(mode="json"))

    async def perform(self, job: Job) -> Verdict:
        assert job.workspace is not None
        asked = self.input.model_validate(job.input)
        try:
            result = await self.change(Errand(job.id, job.attempt), job.workspace.id, asked)
        except Rejected as error:
            refusal = {_STATUS: error.status, _CODE: error.code}
            return Verdict(Status.FAILED, Reason.INPUT_UNUSABLE, error.message, refusal)
        return Verdict(Status.SUCCEEDED, None, None, result)

    @abstractmethod
    async def change(self, errand: Errand, workspace_id: WorkspaceId, asked: AskT) -> Mapping[str, object]:
        """Do it; returns the job's result. Raises `Rejected` where it cannot be done as asked, and `Refused`."""


def refusal(job: Job) -> Rejected | None:
    """Why an ended job of such a kind could not be done as asked, for whoever asked; none: for another reason, or done."""
    result = job.result or {}
    if _CODE not in result:
        return None
    return Rejected(integer(result, _STATUS), text(result, _CODE), job.message or "")
