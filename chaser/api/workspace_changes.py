"""Calls that change what is in a workspace: each is a job that stands in the workspace's line, and the call waits for it.

A call comes back with 409 where a job uses the workspace: at once, or, if a job came in between, when its own has waited
in vain.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from starlette.responses import Response

from chaser.api.answers import job_answer
from chaser.api.call import Call, shown
from chaser.api.vigil import vigil
from chaser.errors import Refused, Rejected, Unavailable
from chaser.ids import JobId, new_job_id
from chaser.jobs.job import NO_SECRETS, Job, NewJob, Status
from chaser.jobs.kinds.workspace_change import CHANGES, refusal
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.sandboxes.workspaces import Workspace

_ATTEMPTS = 5
_PRIORITY = 100
"""Somebody waits for the answer, and it holds nothing up for long."""


async def change(
    call: Call,
    workspace: Workspace,
    kind: str,
    asked: Mapping[str, object],
    mode: WorkspaceMode = WorkspaceMode.EXCLUSIVE,
) -> Job | Response:
    """The job, once it has succeeded; or the answer 202, if that takes long. With the mode `copy` the workspace is only
    read: other readers are in nobody's way.

    Raises `Rejected` with `workspace_in_use`, or with what the job came upon, and what else ended it.
    """
    call.api.admission()
    await _require_free(call, workspace, mode)
    now = call.api.clock.now()
    new = NewJob(
        id=new_job_id(now),
        kind=kind,
        input={"workspace": workspace.name, **asked},
        secrets=NO_SECRETS,
        created_at=now,
        queue_until=now + call.api.rules.turn_timeout,
        workspace=WorkspaceUse(workspace.id, mode),
        max_attempts=_ATTEMPTS,
        priority=_PRIORITY,
        key_id=call.key.id,
    )
    accepted = await call.api.intake.submit(new)
    job = await _ended(call, accepted.job, call.api.rules.change_wait)
    if job is None or not job.status.ended:
        return await _later(call, new.id)
    await _raise_failure(call, workspace, mode, job)
    return job


async def _require_free(call: Call, workspace: Workspace, mode: WorkspaceMode) -> None:
    in_the_way = await _in_the_way(call, workspace, mode)
    if in_the_way:
        message = "Jobs use the workspace, or wait for it; wait for their end, or cancel them. Reading is always allowed."
        raise Rejected(409, "workspace_in_use", message, details={"busy_with": list(in_the_way)})


async def _in_the_way(call: Call, workspace: Workspace, mode: WorkspaceMode) -> Sequence[JobId]:
    """The jobs that use the workspace, or wait for it, and will for longer than a call can."""
    line = await call.api.workspace_parts.rows.users(workspace.id)
    return [
        job.id
        for job in [await call.api.jobs.get(job_id) for job_id in line]
        if job is not None
        and job.kind not in CHANGES
        and not job.status.ended
        and (mode is WorkspaceMode.EXCLUSIVE or (job.workspace and job.workspace.mode is not mode))
    ]


async def _ended(call: Call, job: Job, within: timedelta) -> Job | None:
    async with vigil(call.api, job, call.request.receive) as held:
        ended = await held.ended_within(within)
    return ended if isinstance(ended, Job) else None


async def _later(call: Call, job_id: JobId) -> Response:
    job = await call.api.jobs.get(job_id)
    assert job is not None
    answer = shown(await job_answer(call.api, job), 202)
    answer.headers["Location"] = f"/v1/jobs/{job_id}"
    return answer


async def _raise_failure(call: Call, workspace: Workspace, mode: WorkspaceMode, job: Job) -> None:
    """Raises what the ended job has failed with; nothing, if it has succeeded."""
    if job.status is Status.SUCCEEDED:
        return
    found = refusal(job)
    if found is not None:
        raise found
    if job.reason is Reason.QUEUE_TIMEOUT:
        await _require_free(call, workspace, mode)
        message = "The change found no free slot in time; try again in a moment."
        raise Unavailable(Reason.QUEUE_TIMEOUT, message, job=job.id, retry_after=5)
    reason, message = job.reason or Reason.INTERNAL_ERROR, job.message or "The change has failed."
    if reason is Reason.WORKSPACE_NOT_FOUND:
        raise Rejected(404, reason.value, message, details={"job": job.id})
    if job.status is Status.CANCELLED:
        raise Rejected(409, reason.value, "The change was cancelled.", details={"job": job.id})
    if reason in {Reason.ENGINE_UNAVAILABLE, Reason.STORE_UNAVAILABLE, Reason.INTERNAL_ERROR}:
        raise Unavailable(reason, message, job=job.id)
    raise Refused(reason, message)
