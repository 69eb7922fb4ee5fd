"""What is asked of every queue alike: jobs of no work, written one by one by several producers at once, each write on
disk before the next of its producer, and all of them worked off by one process."""

import asyncio
import time
from collections.abc import Awaitable, Callable

PRODUCERS = 10
SLOTS = 10
"""How many jobs may be worked on at once."""
CONNECTIONS = 8


class Tally:
    """Counts the jobs down as they are performed."""

    def __init__(self, jobs: int) -> None:
        self._left = jobs
        self._all = asyncio.Event()

    def count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._all.set()

    async def all(self) -> None:
        await self._all.wait()


async def jobs_per_second(
    jobs: int, tally: Tally, submit: Callable[[], Awaitable[object]], unfinished: Callable[[], Awaitable[int]]
) -> float:
    """From the first one's submission until the last one's end is written."""
    began = time.perf_counter()
    turns = iter(range(jobs))

    async def produce() -> None:
        for _ in turns:
            await submit()

    async with asyncio.TaskGroup() as producers:
        for _ in range(PRODUCERS):
            producers.create_task(produce())
    await tally.all()
    await emptied(unfinished)
    return jobs / (time.perf_counter() - began)


async def emptied(unfinished: Callable[[], Awaitable[int]]) -> None:
    """Asked over and over, since not every queue tells of the moment at which an end is on disk."""
    while await unfinished():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
