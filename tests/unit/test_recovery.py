"""What a start finds of the start before it: sandboxes go, jobs end or wait again, and the engine is waited for."""

import asyncio
from datetime import timedelta

from chaser.ids import JobId
from chaser.jobs.job import Job, Status
from chaser.jobs.reason import Reason
from chaser.sandboxes.labels import container_name
from tests.engines import IMAGE
from tests.works import Town, Works


async def found(works: Works, job_id: JobId) -> Job:
    job = await works.store.jobs.get(job_id)
    assert job is not None
    return job


async def test_a_run_that_had_begun_is_lost_and_its_sandbox_removed(town: Town) -> None:
    before = await town.works()
    job_id = await before.submit("sleep 1000")
    await before.running(job_id)
    await before.stop()
    assert len(town.engine.containers) == 1

    after = await town.works()
    await after.recovery.run()

    job = await found(after, job_id)
    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.HOST_LOST, 1)
    assert "removed" in (job.message or "")
    assert town.engine.containers == {}
    assert after.kind.settled == [(job_id, 1)]


async def test_a_job_that_was_not_handed_over_waits_again_and_runs(town: Town) -> None:
    before = await town.works()
    town.engine.silent.add(IMAGE.id)
    job_id = await before.submit("echo ran")
    await town.engine.started.wait()
    await before.stop()
    town.engine.silent.clear()

    after = await town.works()
    await after.recovery.run()
    job = await after.ended(job_id)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert await after.text(job_id) == b"ran\n"


async def test_a_job_that_was_not_handed_over_on_its_last_attempt_ends(town: Town) -> None:
    before = await town.works()
    town.engine.silent.add(IMAGE.id)
    job_id = await before.submit("echo never", max_attempts=1)
    await town.engine.started.wait()
    await before.stop()

    after = await town.works()
    await after.recovery.run()

    job = await found(after, job_id)
    assert (job.status, job.reason) == (Status.FAILED, Reason.HOST_LOST)
    assert "before it began" in (job.message or "")


async def test_a_job_that_was_claimed_and_no_more_waits_again(town: Town) -> None:
    """A crash between the claim and the name of its sandbox."""
    before = await town.works(start=False)
    job_id = await before.submit("true")
    assert await town.store.jobs.claim(before.worker, before.clock.now(), frozenset()) is not None

    after = await town.works()
    await after.recovery.run()

    assert (await after.ended(job_id)).status is Status.SUCCEEDED


async def test_a_cancel_that_was_asked_for_is_kept(town: Town) -> None:
    before = await town.works()
    job_id = await before.submit("sleep 1000")
    await before.running(job_id)
    await before.stop()
    await town.store.jobs.request_cancel(job_id, Reason.CANCELLED_BY_USER, before.clock.now())

    after = await town.works()
    await after.recovery.run()

    job = await found(after, job_id)
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_USER)


async def test_an_engine_that_is_away_is_waited_for(town: Town) -> None:
    before = await town.works()
    job_id = await before.submit("sleep 1000")
    await before.running(job_id)
    await before.stop()
    town.engine.away = True

    after = await town.works()
    recovering = asyncio.create_task(after.recovery.run())
    await town.engine.missed.wait()
    assert not recovering.done()
    assert (await found(after, job_id)).status is Status.RUNNING

    town.engine.away = False
    await recovering
    assert (await found(after, job_id)).status is Status.FAILED


async def test_what_this_start_runs_is_left_alone(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit("sleep 1000")
    await works.running(job_id)

    await works.recovery.run()

    assert (await found(works, job_id)).status is Status.RUNNING
    assert len(town.engine.containers) == 1


async def test_what_another_engine_holds_is_left_alone(town: Town) -> None:
    before = await town.works()
    job_id = await before.submit("sleep 1000", timeout=timedelta(hours=1))
    await before.running(job_id)
    await before.stop()
    town.engine.engine_id = "another engine"

    after = await town.works()
    await after.recovery.run()

    job = await found(after, job_id)
    assert job.status is Status.RUNNING
    assert job.sandbox_id is not None
    assert [each.options.name for each in town.engine.containers.values()] == [container_name(job.sandbox_id)]


async def test_a_sandbox_that_was_named_and_never_made_is_no_hindrance(town: Town) -> None:
    before = await town.works()
    job_id = await before.submit("sleep 1000")
    await before.running(job_id)
    await before.stop()
    await town.engine.close()

    after = await town.works()
    await after.recovery.run()

    assert await town.store.jobs.sandboxes_left(after.worker, town.engine.engine_id) == []
    assert (await found(after, job_id)).status is Status.FAILED
