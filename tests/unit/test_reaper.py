"""What is left behind is found: what lives is taken over, what had not begun waits again, what nobody holds goes."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from chaser.clock import ManualClock
from chaser.ids import JobId
from chaser.jobs.job import Job, Retry, Status, Verdict
from chaser.jobs.ports import LEASE, Full
from chaser.jobs.reason import Reason
from chaser.sandboxes.labels import container_name
from tests.engines import IMAGE
from tests.works import Town, Works

UNTIL_TOLD = "echo before; while [ ! -e stop ]; do sleep 0.02; done; echo after"
SECOND = timedelta(seconds=1)


async def found(works: Works, job_id: JobId) -> Job:
    job = await works.store.jobs.get(job_id)
    assert job is not None
    return job


async def begun(works: Works, command: str = UNTIL_TOLD, **changes: Any) -> JobId:  # noqa: ANN401  # as `submit` takes them
    """A job that runs, and has said so. What it printed may be stored before that it runs."""
    job_id = await works.submit(command, **changes)
    await works.printed(job_id, b"before")
    await works.running(job_id)
    return job_id


def release(town: Town) -> None:
    for container in town.engine.containers.values():
        (container.home / "stop").touch()


async def test_a_run_is_taken_over_and_ends_as_if_nothing_had_happened(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before)
    await before.stop()

    after = await town.works()
    await after.reaper.look()
    release(town)
    job = await after.ended(job_id)

    assert (job.status, job.attempt, job.worker) == (Status.SUCCEEDED, 1, after.worker)
    assert await after.text(job_id) == b"before\nafter\n"
    assert job.result is not None
    assert job.result["output_bytes"] == len(b"before\nafter\n")
    events = [event.to_status for event in await after.store.jobs.events(job_id)]
    assert events == [Status.QUEUED, Status.STARTING, Status.RUNNING, Status.SUCCEEDED]
    await after.host.removals.drain(10)
    assert town.engine.containers == {}


async def test_a_run_that_ended_while_no_service_ran_is_recorded(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before, UNTIL_TOLD + "; exit 7")
    (container,) = town.engine.containers
    await before.stop()
    release(town)
    await town.engine.exited(container)

    after = await town.works()
    await after.reaper.look()
    job = await after.ended(job_id)

    assert job.result is not None
    assert (job.status, job.reason, job.result["exit_code"]) == (Status.FAILED, Reason.NONZERO_EXIT, 7)
    assert await after.text(job_id) == b"before\nafter\n"


async def test_a_run_again_that_has_not_printed_yet_is_taken_over_too(town: Town) -> None:
    """Its frames follow those of the run before, though nothing of its own is stored."""
    before = await town.works()
    once = before.spool / "once"
    command = f"[ -e {once} ] || {{ touch {once}; echo first; exit 1; }}; {UNTIL_TOLD.partition('; ')[2]}"
    retry = Retry(frozenset({Reason.NONZERO_EXIT}), 1, SECOND / 1000, SECOND / 1000)
    job_id = await before.submit(command, retry=retry)
    await before.until(job_id, lambda job: job.attempt == 2 and job.status is Status.RUNNING)
    await before.stop()

    after = await town.works()
    await after.reaper.look()
    release(town)
    job = await after.ended(job_id)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert await after.text(job_id) == b"first\nafter\n"


async def test_a_deadline_that_passed_meanwhile_ends_the_run_at_once(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before, "echo before; sleep 1000", timeout=SECOND)
    (container,) = town.engine.containers
    await before.stop()
    await asyncio.sleep(1.1)  # the run's own time, by the engine's clock

    after = await town.works()
    await after.reaper.look()
    job = await after.ended(job_id)

    assert (job.status, job.reason) == (Status.FAILED, Reason.RUN_TIMEOUT)
    await town.engine.exited(container)


async def test_a_job_that_was_not_handed_over_waits_again_and_runs(town: Town) -> None:
    before = await town.works()
    town.engine.silent.add(IMAGE.id)
    job_id = await before.submit("echo ran")
    await town.engine.started.wait()
    await before.stop()
    town.engine.silent.clear()

    after = await town.works()
    await after.reaper.look()
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
    await after.reaper.look()

    job = await found(after, job_id)
    assert (job.status, job.reason) == (Status.FAILED, Reason.HOST_LOST)
    assert "before this began" in (job.message or "")


async def test_a_job_that_was_claimed_and_no_more_waits_again(town: Town) -> None:
    """A crash between the claim and the name of its sandbox."""
    before = await town.works(start=False)
    job_id = await before.submit("true")
    assert await town.store.jobs.claim(before.worker, before.clock.now(), Full())
    await before.stop()

    after = await town.works()
    await after.reaper.look()

    assert (await after.ended(job_id)).status is Status.SUCCEEDED


async def test_a_cancel_that_was_asked_for_is_kept(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before)
    await before.stop()
    await town.store.jobs.request_cancel(job_id, Reason.CANCELLED_BY_USER, before.clock.now())

    after = await town.works()
    await after.reaper.look()
    job = await after.ended(job_id)

    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_USER)
    assert await after.text(job_id) == b"before\n"


async def test_what_was_printed_before_a_cancel_is_kept_though_nobody_read_it_then(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before, UNTIL_TOLD + "; sleep 1000")
    (container,) = town.engine.containers.values()
    await before.stop()
    release(town)
    async with aclosing(town.engine.log(container.id)) as chunks:
        async for chunk in chunks:
            if b"after" in chunk.data:
                break
    await town.store.jobs.request_cancel(job_id, Reason.CANCELLED_BY_USER, before.clock.now())

    after = await town.works()
    await after.reaper.look()
    job = await after.ended(job_id)

    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_USER)
    assert await after.text(job_id) == b"before\nafter\n"


async def test_an_engine_that_is_away_is_waited_for(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before)
    await before.stop()
    town.engine.away = True

    after = await town.works()
    watching = asyncio.create_task(after.reaper.watch())
    await town.engine.missed.wait()
    assert (await found(after, job_id)).status is Status.RUNNING

    town.engine.away = False
    watching.cancel()
    await after.reaper.look()
    release(town)
    assert (await after.ended(job_id)).status is Status.SUCCEEDED


async def test_what_a_living_worker_holds_is_left_alone(town: Town) -> None:
    works = await town.works()
    job_id = await begun(works)
    other = await town.works(start=False)

    await works.reaper.look()
    await other.reaper.look()

    assert (await found(works, job_id)).worker == works.worker
    release(town)
    await works.ended(job_id)


async def test_a_worker_that_falls_silent_loses_its_jobs_when_its_lease_runs_out(town: Town) -> None:
    clock = ManualClock()
    silent = await town.works(clock=clock)
    job_id = await begun(silent)
    other = await town.works(clock=clock)

    clock.advance(LEASE - SECOND)
    await other.lease.beat()
    await other.reaper.look()
    assert (await found(other, job_id)).worker == silent.worker

    clock.advance(2 * SECOND)
    await other.reaper.look()
    assert (await found(other, job_id)).worker == other.worker
    release(town)
    job = await other.ended(job_id)
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert await other.text(job_id) == b"before\nafter\n"


async def test_what_another_engine_holds_is_left_alone_until_it_has_been_silent_too_long(town: Town) -> None:
    clock = ManualClock()
    before = await town.works(clock=clock)
    job_id = await begun(before, timeout=timedelta(hours=1))
    await before.stop()
    town.engine.engine_id = "another engine"

    after = await town.works(clock=clock)
    await after.reaper.look()

    job = await found(after, job_id)
    assert job.status is Status.RUNNING
    assert job.sandbox_id is not None
    assert [each.options.name for each in town.engine.containers.values()] == [container_name(job.sandbox_id)]

    clock.advance(timedelta(minutes=16))
    await after.lease.beat()
    await after.reaper.look()
    job = await found(after, job_id)
    assert (job.status, job.reason) == (Status.FAILED, Reason.HOST_LOST)
    assert len(town.engine.containers) == 1


async def test_a_sandbox_that_is_gone_is_no_hindrance(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before)
    await before.stop()
    await town.engine.close()

    after = await town.works()
    await after.reaper.look()
    job = await after.ended(job_id)

    assert (job.status, job.reason) == (Status.FAILED, Reason.HOST_LOST)
    await after.host.removals.drain(10)
    assert await town.store.jobs.earlier_sandbox(job_id) is None


async def test_a_sandbox_of_a_dead_worker_whose_job_has_ended_is_removed(town: Town) -> None:
    """A crash between the end's write and the removal."""
    before = await town.works()
    job_id = await begun(before)
    await before.stop()
    other = await town.works(start=False)
    taken = await town.store.jobs.take_over(await found(other, job_id), other.worker)
    assert taken is not None
    ended = Verdict(Status.FAILED, Reason.NONZERO_EXIT, "It failed.", {})
    await town.store.jobs.finish(taken, ended, other.clock.now())
    await other.stop()

    after = await town.works(start=False)
    await after.reaper.look()
    await after.host.removals.drain(10)

    assert town.engine.containers == {}


async def test_a_job_that_nobody_asks_for_is_let_go_when_its_leash_runs_out(town: Town) -> None:
    clock = ManualClock()
    works = await town.works(clock=clock)
    job_id = await begun(works, leash=timedelta(seconds=60))

    clock.advance(59 * SECOND)
    await works.reaper.look()
    assert (await found(works, job_id)).cancel_requested is None
    await works.store.jobs.touch(job_id, clock.now())
    clock.advance(59 * SECOND)
    await works.reaper.look()
    assert (await found(works, job_id)).cancel_requested is None

    clock.advance(9 * SECOND)  # it is written for an eighth longer, so that not every asking need be
    await works.reaper.look()
    job = await works.ended(job_id)
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CLIENT_GONE)


async def looked_after(works: Works) -> None:
    """Two signs of life, each with a look after it."""
    for _ in range(2):
        await works.lease.beat()
        await works.reaper.look()


async def test_a_claim_whose_answer_was_lost_is_found_and_the_job_runs(town: Town) -> None:
    """Its row is this worker's, whose lease never runs out: nobody else would ever take it."""
    works = await town.works(start=False)
    job_id = await works.submit("echo ran")
    assert await works.store.jobs.claim(works.worker, works.clock.now(), Full())

    works.start()
    await looked_after(works)

    job = await works.ended(job_id)
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert await works.text(job_id) == b"ran\n"


async def test_a_claim_is_given_the_time_to_be_heard_of(town: Town) -> None:
    works = await town.works(start=False)
    job_id = await works.submit("true")
    assert await works.store.jobs.claim(works.worker, works.clock.now(), Full())

    await works.lease.beat()
    await works.reaper.look()

    assert (await found(works, job_id)).status is Status.STARTING


async def test_a_take_over_whose_answer_was_lost_is_found_and_the_run_goes_on(town: Town) -> None:
    before = await town.works()
    job_id = await begun(before)
    await before.stop()
    after = await town.works()
    assert await town.store.jobs.take_over(await found(after, job_id), after.worker) is not None

    await looked_after(after)
    release(town)

    job = await after.ended(job_id)
    assert (job.status, job.attempt, job.worker) == (Status.SUCCEEDED, 1, after.worker)
    assert await after.text(job_id) == b"before\nafter\n"
