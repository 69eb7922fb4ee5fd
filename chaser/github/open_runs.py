"""Workflow runs and their jobs, as GitHub has them: `chaser.runners.lookout.OpenRuns`.

https://docs.github.com/en/rest/actions/workflow-runs
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

from chaser.github.answers import RunAnswer, RunsAnswer, RunsJobAnswer, RunsJobsAnswer
from chaser.github.client import AppClient
from chaser.github.installations import Installations
from chaser.github.reading import Read, Reader
from chaser.github.wire import Answer, read
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.lookout import RunAttempt, Seen
from chaser.runners.registration import Owner

_PAGES = 10
"""GitHub shows 1,000 runs of a status at most."""
_LAG = timedelta(seconds=30)
"""What GitHub shows may be so old."""

T = TypeVar("T")


class AppOpenRuns:
    def __init__(self, client: AppClient, reader: Reader) -> None:
        self._installations = Installations(client)
        self._reader = reader

    async def having(self, owner: Owner, status: str) -> Sequence[RunAttempt] | None:
        doing = f"listing the workflow runs of {owner.repository}"
        path = f"/repos/{quote(owner.repository)}/actions/runs"

        def runs(answer: Answer) -> tuple[RunAttempt, ...]:
            return tuple(_run(owner, each) for each in read(RunsAnswer, answer, doing).workflow_runs)

        pages = await self._pages(
            owner, path, {"status": status, "exclude_pull_requests": "true"}, doing, runs
        )
        return None if pages is None else [run for page in pages for run in page.items]

    async def jobs(self, run: RunAttempt) -> Seen | None:
        doing = f"listing the jobs of a run of {run.owner.repository}"
        path = f"/repos/{quote(run.owner.repository)}/actions/runs/{run.id}/attempts/{run.attempt}/jobs"

        def jobs(answer: Answer) -> tuple[WorkflowJobEvent, ...]:
            return tuple(_event(run, each) for each in read(RunsJobsAnswer, answer, doing).jobs)

        pages = await self._pages(run.owner, path, {}, doing, jobs)
        if pages is None:
            return None
        at = min(page.at for page in pages)
        return Seen([_as_of(job, at - _LAG) for page in pages for job in page.items], at)

    async def _pages(
        self,
        owner: Owner,
        path: str,
        params: Mapping[str, str],
        doing: str,
        parse: Callable[[Answer], tuple[T, ...]],
    ) -> Sequence[Read[T]] | None:
        found: list[Read[T]] = []
        asked: Mapping[str, str] | None = {**params, "per_page": "100"}
        while asked is not None and len(found) < _PAGES:
            page = await self._page(owner, path, asked, doing, parse)
            if page is None:
                return None
            found.append(page)
            asked = page.next
        return found

    async def _page(
        self,
        owner: Owner,
        path: str,
        params: Mapping[str, str],
        doing: str,
        parse: Callable[[Answer], tuple[T, ...]],
    ) -> Read[T] | None:
        async def call(etag: str | None) -> Answer:
            return await self._installations.call(
                owner, "GET", path, doing=doing, params=params, meaningful=frozenset({404}), etag=etag
            )

        key = owner.installation_id, path, tuple(sorted(params.items()))
        return await self._reader.read(key, call, parse)


def _run(owner: Owner, each: RunAnswer) -> RunAttempt:
    place, account = each.repository, each.repository.owner
    organization = account.login if account.is_organization else None
    whose = replace(owner, repository=place.full_name, organization=organization)
    return RunAttempt(each.id, each.run_attempt, whose, place.private)


def _event(run: RunAttempt, job: RunsJobAnswer) -> WorkflowJobEvent:
    return WorkflowJobEvent(
        action=job.status,  # the words are the same, where an action is one that says anything
        job_id=job.id,
        run_id=job.run_id,
        name=job.name,
        workflow_name=job.workflow_name,
        labels=tuple(job.labels),
        repository=run.owner.repository,
        organization=run.owner.organization,
        installation_id=run.owner.installation_id,
        private=run.private,
        run_attempt=job.run_attempt,
        html_url=job.html_url,
        status=job.status,
        conclusion=job.conclusion,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        runner_id=job.runner_id or None,
        runner_name=job.runner_name or None,
    )


def _as_of(event: WorkflowJobEvent, at: datetime) -> WorkflowJobEvent:
    """That it is queued, or held back, was so then; what was told later counts more."""
    return replace(event, gated_at=at) if event.action in {"queued", "waiting"} else event
