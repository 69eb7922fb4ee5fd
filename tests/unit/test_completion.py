"""Who waits for a job is woken, and only then."""

import asyncio

from chaser.ids import JobId
from chaser.jobs.completion import Completion

JOB, OTHER = JobId("job_1"), JobId("job_2")


async def test_the_first_wait_returns_at_once() -> None:
    with Completion().watch(JOB) as watch:
        await watch.wait()


async def test_a_change_wakes_all_who_watch_that_job() -> None:
    completion = Completion()
    with completion.watch(JOB) as one, completion.watch(JOB) as two, completion.watch(OTHER) as other:
        for watch in (one, two, other):
            await watch.wait()
        waits = [asyncio.create_task(watch.wait()) for watch in (one, two, other)]

        completion.changed(JOB)
        await asyncio.gather(*waits[:2])

        assert not waits[2].done()
        waits[2].cancel()


async def test_a_change_between_two_waits_is_not_missed() -> None:
    completion = Completion()
    with completion.watch(JOB) as watch:
        await watch.wait()
        completion.changed(JOB)
        completion.changed(JOB)

        await watch.wait()


async def test_a_job_that_nobody_watches_any_more_is_forgotten() -> None:
    completion = Completion()
    with completion.watch(JOB):
        pass

    completion.changed(JOB)
    assert completion._watches == {}  # pyright: ignore[reportPrivateUsage]
