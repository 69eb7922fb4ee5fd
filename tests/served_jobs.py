"""Workflow jobs that runners of ours have served, written as the service and GitHub would, for tests of what is told of them."""

from dataclasses import replace
from datetime import datetime, timedelta

from chaser.ids import JobId
from chaser.jobs.ports import Fence
from chaser.runners.inbox import Recorded
from chaser.store.store import Store
from tests.rows import START, TERMS, claimed, sandbox_of
from tests.workflow_jobs import runner_of, tell, told

SECOND = timedelta(seconds=1)


def after(seconds: float) -> datetime:
    return START + seconds * SECOND


async def heard(store: Store, number: int = 77, at: float = 0, *, late: float = 3) -> JobId:
    """The job that is owed, of a workflow job that GitHub has made `late` seconds before."""
    answer = await tell(store, told(job_id=number, created_at=after(at - late)), after(at))
    assert isinstance(answer, Recorded)
    assert answer.job_id is not None
    return answer.job_id


async def handed_over(store: Store, at: float) -> None:
    """The next job's runner: claimed then, ready after 1 s, registered after 2 s, listening after 5 s."""
    claim = await claimed(store.jobs, after(at))
    job = claim.job
    await store.runners.begun(job.id, job.attempt, runner_of(job.id), after(at))
    assert await store.jobs.name_sandbox(claim, sandbox_of(claim)) is Fence.HELD
    await store.runners.minted(job.id, job.attempt, 9, after(at + 1), after(at + 2))
    assert await store.jobs.hand_over(claim, TERMS, after(at + 2)) is Fence.HELD
    assert await store.jobs.begin(claim, after(at + 3)) is Fence.HELD
    await store.runners.online(job.id, job.attempt, after(at + 5))


async def ran(store: Store, number: int, runner: JobId, at: float) -> None:
    """By GitHub: begun then, and ended a minute later."""
    begun = told(
        "in_progress",
        number,
        created_at=await _created(store, number),
        started_at=after(at),
        runner_id=9,
        runner_name=runner_of(runner),
    )
    await tell(store, begun, after(at + 1))
    ended = replace(begun, action="completed", completed_at=after(at + 60), conclusion="success")
    await tell(store, ended, after(at + 61))


async def _created(store: Store, number: int) -> datetime | None:
    story = await store.demands.story(number)
    return None if story is None else story.demand.said.created_at
