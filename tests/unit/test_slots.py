"""So many starts at once, and those that jobs wait for before all others."""

import asyncio

import pytest

from chaser.sandboxes.slots import Slots
from chaser.sandboxes.traffic import Traffic


class Start:
    """One that goes on until it is let."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.undone = False

    async def work(self) -> str:
        self.began.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.undone = True
            raise
        return "made"


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_than_so_many_are_started_at_once() -> None:
    slots, starts = Slots(2, Traffic()), [Start() for _ in range(3)]
    tasks = [asyncio.create_task(slots.start(each.work)) for each in starts]
    await settle()

    assert [each.began.is_set() for each in starts] == [True, True, False]

    starts[0].may_end.set()
    await starts[2].began.wait()
    for each in starts:
        each.may_end.set()
    assert await asyncio.gather(*tasks) == ["made"] * 3


async def test_what_no_job_waits_for_begins_when_no_other_start_is_under_way() -> None:
    slots, first, ahead = Slots(8, Traffic()), Start(), Start()
    job = asyncio.create_task(slots.start(first.work))
    await first.began.wait()
    other = asyncio.create_task(slots.start_ahead(ahead.work))
    await settle()

    assert not ahead.began.is_set()

    first.may_end.set()
    await job
    await ahead.began.wait()
    ahead.may_end.set()
    assert await other == "made"


async def test_a_jobs_start_takes_the_slot_of_one_that_was_made_ahead() -> None:
    slots, first, ahead = Slots(1, Traffic()), Start(), Start()
    other = asyncio.create_task(slots.start_ahead(ahead.work))
    await ahead.began.wait()
    job = asyncio.create_task(slots.start(first.work))
    await first.began.wait()

    assert ahead.undone
    assert await other is None
    first.may_end.set()
    assert await job == "made"


async def test_one_made_ahead_is_left_alone_while_there_are_slots_for_jobs() -> None:
    slots, first, ahead = Slots(2, Traffic()), Start(), Start()
    other = asyncio.create_task(slots.start_ahead(ahead.work))
    await ahead.began.wait()
    job = asyncio.create_task(slots.start(first.work))
    await first.began.wait()

    assert not ahead.undone
    ahead.may_end.set()
    first.may_end.set()
    assert await asyncio.gather(job, other) == ["made", "made"]


async def test_one_that_hangs_does_not_hold_up_the_next_made_ahead() -> None:
    slots, hangs, ahead = Slots(4, Traffic()), Start(), Start()
    stuck = asyncio.create_task(slots.start_ahead(hangs.work))
    await hangs.began.wait()
    other = asyncio.create_task(slots.start_ahead(ahead.work))
    ahead.may_end.set()

    assert await other == "made"
    stuck.cancel()
    await asyncio.wait({stuck})
    assert hangs.undone


async def test_a_failure_is_its_makers_own() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    slots = Slots(1, Traffic())
    for start in (slots.start_ahead, slots.start):
        with pytest.raises(ZeroDivisionError):
            await start(broken)
