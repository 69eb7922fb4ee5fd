"""Workflow jobs as GitHub has them: `chaser.runners.registration.WorkflowJobs`."""

from urllib.parse import quote

from chaser.github.answers import WorkflowJobAnswer
from chaser.github.budget import Urgency
from chaser.github.client import AppClient
from chaser.github.installations import Installations
from chaser.github.wire import read
from chaser.runners.registration import Owner, WorkflowJob


class AppWorkflowJobs:
    def __init__(self, client: AppClient) -> None:
        self._installations = Installations(client)

    async def get(self, owner: Owner, workflow_job_id: int) -> WorkflowJob | None:
        doing = f"looking at a job of {owner.repository}"
        path = f"/repos/{quote(owner.repository)}/actions/jobs/{workflow_job_id}"
        answer = await self._installations.call(
            owner, "GET", path, doing=doing, meaningful=frozenset({404}), urgency=Urgency.TRUTH
        )
        if answer.status == 404:
            return None
        found = read(WorkflowJobAnswer, answer, doing)
        # GitHub writes none, 0 and "" where no runner has had the job
        return WorkflowJob(found.status, found.conclusion, found.runner_id or None, found.runner_name or None)
