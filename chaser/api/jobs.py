"""/v1/jobs: list, read, wait, cancel; and what kinds there are."""

from collections.abc import Sequence
from datetime import timedelta

from starlette.responses import Response

from chaser.api.answers import job_answer, job_line
from chaser.api.auth import visible_job
from chaser.api.body import read_query
from chaser.api.call import Call, shown
from chaser.api.kind_schemas import input_schema
from chaser.api.schemas.job_request import KindAnswer, KindList
from chaser.api.schemas.jobs import JobPage, JobQuery, ListQuery
from chaser.api.vigil import vigil
from chaser.errors import Rejected
from chaser.ids import JobId, WorkspaceId
from chaser.jobs.job import Job
from chaser.jobs.ports import JobFilter
from chaser.jobs.reason import Reason
from chaser.sandboxes.workspaces import is_id


async def index(call: Call) -> Response:
    query = read_query(call.request, ListQuery)
    found = await call.api.jobs.list(
        JobFilter(
            status=query.status,
            kind=query.kind,
            key_id=call.key.id if call.key.own_jobs else None,
            workspace_id=await _workspace(call, query.workspace),
            before=JobId(query.cursor) if query.cursor else None,
            # one more than shown tells whether there is a next page
            limit=query.limit + 1,
        )
    )
    return shown(await _page(call, found, query.limit))


async def _workspace(call: Call, selector: str | None) -> WorkspaceId | None:
    """Jobs outlive their workspace: an id needs no look at what there is."""
    if selector is None:
        return None
    if is_id(selector):
        return WorkspaceId(selector)
    return await call.api.workspaces.find(selector, call.key)


async def _page(call: Call, found: Sequence[Job], limit: int) -> JobPage:
    lines = [await job_line(call.api, job) for job in found[:limit]]
    return JobPage(data=lines, next_cursor=lines[-1].id if len(found) > limit else None)


async def read(call: Call) -> Response:
    query = read_query(call.request, JobQuery)
    job = await visible_job(call.api, call.key, call.request.path_params["id"])
    if query.wait_ms and not job.status.ended:
        job = await _waited(call, job, timedelta(milliseconds=query.wait_ms))
    return shown(await job_answer(call.api, job))


async def _waited(call: Call, job: Job, span: timedelta) -> Job:
    """The job as it is at its end, or when the time is over. A client that leaves ends the wait, and nothing else."""
    async with vigil(call.api, job, call.request.receive) as held:
        ended = await held.ended_within(span)
    return ended if isinstance(ended, Job) else await call.api.jobs.get(job.id) or job


async def cancel(call: Call) -> Response:
    job = await visible_job(call.api, call.key, call.request.path_params["id"])
    if job.status.ended:
        message = f"The job has ended already, as {job.status.value}; there is nothing to cancel."
        raise Rejected(409, "job_finished", message, details={"job": job.id})
    asked = await call.api.intake.cancel(job.id, Reason.CANCELLED_BY_USER)
    return shown(await job_answer(call.api, asked or job), 202)


async def kinds(call: Call) -> Response:
    """Those that clients may post."""
    listed = [
        KindAnswer(kind=name, description=kind.description, input_schema=input_schema(kind, call.api.rules))
        for name, kind in sorted(call.api.kinds.items())
        if kind.open
    ]
    return shown(KindList(data=listed))
