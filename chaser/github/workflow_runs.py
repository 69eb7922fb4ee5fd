"""Workflow runs as GitHub has them: `chaser.runners.registration.WorkflowRuns`."""

from urllib.parse import quote

from chaser.github.answers import PullRequestsAnswer, WorkflowRunAnswer
from chaser.github.budget import Urgency
from chaser.github.client import AppClient
from chaser.github.installations import Installations
from chaser.github.wire import read
from chaser.runners.registration import Owner
from chaser.runners.rules import NOBODY, Run

_OF_PULL_REQUESTS = "pull_request"
"""How the names of the events begin that a pull request causes."""


class AppWorkflowRuns:
    def __init__(self, client: AppClient) -> None:
        self._installations = Installations(client)

    async def get(self, owner: Owner, run_id: int, attempt: int, *, association: bool) -> Run | None:
        doing = f"looking at a run of {owner.repository}"
        path = f"/repos/{quote(owner.repository)}/actions/runs/{run_id}/attempts/{attempt}"
        answer = await self._installations.call(
            owner, "GET", path, doing=doing, meaningful=frozenset({404}), urgency=Urgency.TRUTH
        )
        if answer.status == 404:
            return None
        found = read(WorkflowRunAnswer, answer, doing)
        return Run(
            event=found.event,
            head_repository=found.head_repository and found.head_repository.full_name,
            actor=found.actor and found.actor.login,
            triggering_actor=found.triggering_actor and found.triggering_actor.login,
            workflow=found.path.partition("@")[0],
            branch=found.head_branch,
            association=await self._association(owner, found) if association else None,
        )

    async def _association(self, owner: Owner, run: WorkflowRunAnswer) -> str:
        """A run of a fork does not say which pull request it is of, so those with its branch are asked for.

        https://docs.github.com/en/rest/pulls/pulls#list-pull-requests
        """
        whole = run.actor and run.head_repository and run.head_branch
        if not (whole and run.actor and run.head_repository and run.event.startswith(_OF_PULL_REQUESTS)):
            return NOBODY
        doing = f"looking for the pull request of a run of {owner.repository}"
        head = f"{run.head_repository.full_name.partition('/')[0]}:{run.head_branch}"
        params = {"head": head, "state": "all", "sort": "updated", "direction": "desc", "per_page": "100"}
        path = f"/repos/{quote(owner.repository)}/pulls"
        answer = await self._installations.call(
            owner, "GET", path, doing=doing, params=params, urgency=Urgency.TRUTH
        )
        found = read(PullRequestsAnswer, answer, doing).root
        own = [each for each in found if each.user is not None and each.user.login == run.actor.login]
        return own[0].author_association if own else NOBODY
