"""Who runs when: slots, keys' caps, cancels at any moment, and waits that are over."""

import asyncio
from datetime import timedelta

import pytest

from chaser.clock import SystemClock
from chaser.ids import JobId, KeyId
from chaser.jobs.caps import Caps
from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.store.store import Store
from tests.engines import IMAGE
from tests.works import Town, Works

SECOND = timedelta(seconds=1)
UNTIL_TOLD = "while [ ! -e stop ]; do sleep 0.02; done"


async def release(works: Works, job_id: JobId) -> None:
    """Let a job end that runs `UNTIL_TOLD`."""
    job = await works.running(job_id)
    for container in works.engine.containers.values():
        if container.options.labels["chaser.sandbox"] == job.sandbox_id:
            (container.home / "stop").touch()
    await works.ended(job_id)


async def status(store: Store, job_id: JobId) -> Status:
    job = await store.jobs.get(job_id)
    assert job is not None
    return job.status


async def test_no_more_run_than_there_are_slots(town: Town) -> None:
    works = await town.works(max_running=2)
    first, second, third = [await works.submit(UNTIL_TOLD) for _ in range(3)]
    await works.running(first)
    await works.running(second)
    assert await status(town.store, third) is Status.QUEUED

    await release(works, first)
    await works.running(third)

    await release(works, second)
    await release(works, third)


async def test_a_profile_at_its_cap_lets_others_pass(town: Town) -> None:
    works = await town.works(caps=Caps({"default": 1}))
    first = await works.submit(UNTIL_TOLD)
    await works.running(first)
    second = await works.submit(UNTIL_TOLD)
    other = await works.submit("true", profile="other")

    await works.ended(other)
    assert await status(town.store, second) is Status.QUEUED

    await release(works, first)
    await release(works, second)


@pytest.mark.parametrize(
    ("caps", "blocked", "passes"),
    [
        (Caps(lane=2), ("acme", "acme/a"), ("acme", "acme/b")),
        (Caps(tenant=2), ("acme", "acme/b"), ("other", "other/a")),
    ],
    ids=["lane", "tenant"],
)
async def test_a_lane_or_a_tenant_at_its_cap_lets_others_pass(
    town: Town, caps: Caps, blocked: tuple[str, str], passes: tuple[str, str]
) -> None:
    works = await town.works(caps=caps)
    first, second = [await works.submit(UNTIL_TOLD, tenant="acme", lane="acme/a") for _ in range(2)]
    await works.running(first)
    await works.running(second)
    third = await works.submit(UNTIL_TOLD, tenant=blocked[0], lane=blocked[1])
    others = [await works.submit("true", tenant=passes[0], lane=passes[1]), await works.submit("true")]

    for other in others:
        await works.ended(other)
    assert await status(town.store, third) is Status.QUEUED

    await release(works, first)
    await works.running(third)
    await release(works, second)
    await release(works, third)


async def test_what_needs_no_sandbox_does_not_wait_for_one(town: Town) -> None:
    works = await town.works(max_running=1)
    running = await works.submit(UNTIL_TOLD)
    await works.running(running)

    job = await works.ended(await works.errand())

    assert (job.status, job.result) == (Status.SUCCEEDED, {"done": True})
    await release(works, running)


async def test_many_jobs_all_end(town: Town) -> None:
    works = await town.works(max_running=4)
    ids = [await works.submit(f"echo {number}") for number in range(20)]

    jobs = await asyncio.gather(*(works.ended(job_id) for job_id in ids))

    assert {job.status for job in jobs} == {Status.SUCCEEDED}
    assert [await works.text(job_id) for job_id in ids] == [b"%d\n" % number for number in range(20)]


async def test_a_key_at_its_cap_lets_others_pass(town: Town) -> None:
    async def cap_of(key_id: KeyId) -> int | None:
        return 1 if key_id == "key_capped" else None

    works = await town.works(cap_of=cap_of)
    capped, free = KeyId("key_capped"), KeyId("key_free")
    first = await works.submit(UNTIL_TOLD, key_id=capped)
    await works.running(first)
    second = await works.submit(UNTIL_TOLD, key_id=capped)
    others = [await works.submit("true", key_id=key) for key in (free, None)]

    for other in others:
        await works.ended(other)
    assert await status(town.store, second) is Status.QUEUED

    await release(works, first)
    await release(works, second)


async def test_while_new_jobs_are_held_none_starts_and_waits_still_end(town: Town) -> None:
    shortage: list[str] = ["The disk is full."]
    works = await town.works(held=lambda: shortage[0] if shortage else None)
    waiting = await works.submit("true")
    late = await works.submit("true", queue_until=SystemClock().now())

    assert (await works.ended(late)).reason is Reason.QUEUE_TIMEOUT
    assert await status(town.store, waiting) is Status.QUEUED

    shortage.clear()
    works.dispatcher.wake()
    assert (await works.ended(waiting)).status is Status.SUCCEEDED


async def test_a_wait_that_is_over_ends_the_job(town: Town) -> None:
    works = await town.works(max_running=1)
    running = await works.submit(UNTIL_TOLD)
    await works.running(running)
    late = await works.submit("true", queue_until=SystemClock().now() + SECOND / 4)

    job = await works.ended(late)

    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.QUEUE_TIMEOUT, 0)
    await release(works, running)


async def test_a_job_for_later_starts_when_it_is_due(town: Town) -> None:
    works = await town.works()
    due = SystemClock().now() + SECOND / 4

    job = await works.ended(await works.submit("true", run_at=due))

    assert job.started_at is not None
    assert job.started_at >= due


async def test_a_job_that_waits_is_cancelled_at_once(town: Town) -> None:
    works = await town.works(start=False)
    job_id = await works.submit("true")

    await works.intake.cancel(job_id, Reason.CANCELLED_BY_USER)
    job = await works.ended(job_id)

    assert (job.status, job.reason, job.attempt) == (Status.CANCELLED, Reason.CANCELLED_BY_USER, 0)


async def test_a_job_that_is_starting_is_cancelled(town: Town) -> None:
    works = await town.works()
    town.engine.silent.add(IMAGE.id)
    job_id = await works.submit("true")
    await town.engine.started.wait()

    await works.intake.cancel(job_id, Reason.CLIENT_GONE)
    job = await works.ended(job_id)

    assert (job.status, job.reason, job.handed_over_at) == (Status.CANCELLED, Reason.CLIENT_GONE, None)
    await works.host.removals.drain(10)
    assert town.engine.containers == {}


async def test_a_job_that_runs_is_cancelled_and_keeps_its_output(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit("echo before; sleep 1000")
    await works.printed(job_id, b"before")

    await works.intake.cancel(job_id, Reason.CANCELLED_BY_USER)
    job = await works.ended(job_id)

    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_USER)
    assert await works.text(job_id) == b"before\n"
    assert job.message == "It was cancelled by request."


async def test_a_cancel_of_what_has_ended_changes_nothing(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit("true")
    before = await works.ended(job_id)

    assert await works.intake.cancel(job_id, Reason.CANCELLED_BY_USER) == before
    assert await works.intake.cancel(JobId("job_unknown"), Reason.CANCELLED_BY_USER) is None


@pytest.mark.parametrize("number", range(10))
async def test_a_cancel_that_races_with_the_claim_is_never_forgotten(town: Town, number: int) -> None:
    """Whatever comes first, the job ends as cancelled: it would run for ever otherwise."""
    works = await town.works()
    job_id = await works.submit("sleep 1000")
    for _ in range(number):
        await asyncio.sleep(0)

    await works.intake.cancel(job_id, Reason.CANCELLED_BY_USER)

    assert (await works.ended(job_id)).status is Status.CANCELLED


async def test_a_stop_that_is_told_while_the_claim_is_under_way_reaches_the_run(town: Town) -> None:
    """The claim is on disk, and not yet known to this process: the stop waits for it."""
    works = await town.works(start=False)
    job_id = await works.submit("sleep 1000")
    works.start()
    await works.until(job_id, lambda job: job.status is not Status.QUEUED)
    await town.store.jobs.request_cancel(job_id, Reason.CANCELLED_BY_USER, works.clock.now())
    works.dispatcher.stop_running(job_id, Reason.CANCELLED_BY_USER)

    assert (await works.ended(job_id)).status is Status.CANCELLED


async def test_after_the_stop_of_the_service_nothing_is_claimed(town: Town) -> None:
    works = await town.works()
    await works.dispatcher.stop()

    job_id = await works.submit("true")
    works.dispatcher.wake()
    late = await works.submit("true", queue_until=SystemClock().now())
    await works.ended(late)

    assert await status(town.store, job_id) is Status.QUEUED
