"""How many jobs wait is counted seldom, and never too few are taken to wait."""

import asyncio
from datetime import timedelta

from chaser.api.queue_length import COUNTED_SECONDS, RENEWED_SECONDS, QueueLength
from chaser.clock import ManualClock


class Rows:
    def __init__(self) -> None:
        self.waiting = 0
        self.counts = 0

    async def count(self) -> int:
        self.counts += 1
        await asyncio.sleep(0)
        return self.waiting


async def admitted(length: QueueLength, more: int, limit: int, rows: Rows, clock: ManualClock) -> int | None:
    """As `let_in` says; those that are let in are written at once."""
    waiting = await length.let_in(more, limit, rows.count, clock)
    if waiting is None:
        length.written(more)
    return waiting


async def test_many_at_once_are_counted_for_once() -> None:
    length, rows, clock = QueueLength(), Rows(), ManualClock()

    answers = await asyncio.gather(*(admitted(length, 1, 100, rows, clock) for _ in range(100)))

    assert answers == [None] * 100
    assert rows.counts == 1


async def test_what_was_let_in_fills_the_queue() -> None:
    length, rows, clock = QueueLength(), Rows(), ManualClock()
    await admitted(length, 2, 3, rows, clock)
    rows.waiting = 2

    assert await admitted(length, 2, 3, rows, clock) == 2
    assert await admitted(length, 1, 3, rows, clock) is None


async def test_what_has_left_makes_room_at_once() -> None:
    length, rows, clock = QueueLength(), Rows(), ManualClock()
    await admitted(length, 1, 1, rows, clock)

    assert await admitted(length, 1, 1, rows, clock) is None


async def test_jobs_that_came_another_way_are_seen_after_a_moment() -> None:
    length, rows, clock = QueueLength(), Rows(), ManualClock()
    await admitted(length, 1, 10, rows, clock)
    rows.waiting = 10
    clock.advance(timedelta(seconds=COUNTED_SECONDS))

    assert await admitted(length, 1, 10, rows, clock) == 10


async def test_while_jobs_come_they_are_counted_again_beside_them() -> None:
    length, rows, clock = QueueLength(), Rows(), ManualClock()
    await admitted(length, 1, 10, rows, clock)
    rows.waiting = 9
    clock.advance(timedelta(seconds=RENEWED_SECONDS))

    assert [await admitted(length, 1, 10, rows, clock) for _ in range(2)] == [None, None]
    assert rows.counts == 1
    await asyncio.sleep(0.01)
    assert rows.counts == 2
    rows.waiting = 10

    assert [await admitted(length, 1, 10, rows, clock) for _ in range(2)] == [None, 10]


async def test_what_is_let_in_while_they_are_counted_is_added() -> None:
    length, rows, clock = QueueLength(), Rows(), ManualClock()
    await admitted(length, 1, 10, rows, clock)
    clock.advance(timedelta(seconds=RENEWED_SECONDS))
    await admitted(length, 1, 10, rows, clock)
    await asyncio.sleep(0)  # the count is under way
    await admitted(length, 6, 10, rows, clock)
    await asyncio.sleep(0.01)
    rows.waiting = 8

    assert await admitted(length, 5, 10, rows, clock) == 8
    assert rows.counts == 3


async def test_what_is_on_its_way_to_the_store_is_counted_though_no_count_has_seen_it() -> None:
    length, rows, clock = QueueLength(), Rows(), ManualClock()
    rows.waiting = 8
    await admitted(length, 1, 10, rows, clock)
    rows.waiting = 9
    clock.advance(timedelta(seconds=RENEWED_SECONDS))

    assert await length.let_in(1, 10, rows.count, clock) is None
    await asyncio.sleep(0.01)  # counted again beside it, before it is written

    assert await admitted(length, 1, 10, rows, clock) == 10
    rows.waiting = 10
    length.written(1)
    assert await admitted(length, 1, 10, rows, clock) == 10
    rows.waiting = 9
    assert await admitted(length, 1, 10, rows, clock) is None
