"""A stop is made once, and ends what it guards."""

import asyncio

import pytest

from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import Stopped
from chaser.sandboxes.stop import Stop, StopRequested

STOPPED = Stopped(Reason.RUN_TIMEOUT, "too long")


async def forever(cleaned: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        cleaned.append("up")


async def test_work_that_ends_first_gives_its_result() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await Stop().guard(work()) == 7


async def test_an_error_of_the_work_passes() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await Stop().guard(work())


async def test_a_stop_ends_the_work_and_waits_until_it_has_cleaned_up() -> None:
    stop, cleaned = Stop(), list[str]()
    asyncio.get_running_loop().call_soon(stop.request, STOPPED.reason, STOPPED.message)

    with pytest.raises(StopRequested) as requested:
        await stop.guard(forever(cleaned))

    assert requested.value.stopped == STOPPED
    assert cleaned == ["up"]


async def test_after_a_stop_no_work_is_begun() -> None:
    stop, begun = Stop(), list[str]()
    stop.request(STOPPED.reason, STOPPED.message)

    async def work() -> None:
        begun.append("work")

    with pytest.raises(StopRequested):
        await stop.guard(work())
    assert begun == []


async def test_the_first_reason_holds() -> None:
    stop = Stop()
    stop.request(STOPPED.reason, STOPPED.message)
    stop.request(Reason.CLIENT_GONE, "gone")

    with pytest.raises(StopRequested) as requested:
        await stop.guard(asyncio.sleep(0))
    assert requested.value.stopped == STOPPED


async def test_whoever_waits_for_the_guard_may_be_cancelled() -> None:
    stop, cleaned = Stop(), list[str]()
    task = asyncio.create_task(stop.guard(forever(cleaned)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert cleaned == ["up"]
