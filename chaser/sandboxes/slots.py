"""How many sandboxes are started at once, and whose turn it is: what a job waits for comes first, always."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from chaser.sandboxes.traffic import Traffic

T = TypeVar("T")

AHEAD = 2
"""Starts at once of what no job waits for yet: one that hangs does not hold up the others."""


class Slots:
    def __init__(self, most: int, traffic: Traffic) -> None:
        self._traffic = traffic
        self._free = asyncio.Semaphore(most)
        self._ahead = asyncio.Semaphore(min(AHEAD, most))
        self._yielding: list[asyncio.Future[Any]] = []
        """Starts under way that no job waits for."""

    async def start(self, work: Callable[[], Awaitable[T]]) -> T:
        """A start that a job waits for. Where all slots are taken, one that was made ahead has to give its own."""
        with self._traffic.starting():
            if self._free.locked() and self._yielding:
                self._yielding.pop(0).cancel()
            async with self._free:
                return await work()

    async def start_ahead(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """A start that no job waits for: it begins while there is no other. None: it has given way to one."""
        async with self._ahead:
            await self._traffic.quiet()
            # At least one slot is free, since those of jobs all are, and what is made ahead has no more than its own.
            async with self._free:
                return await self._unless_in_the_way(asyncio.ensure_future(work()))

    async def _unless_in_the_way(self, start: "asyncio.Future[T]") -> T | None:
        self._yielding.append(start)
        try:
            await asyncio.wait({start})
        except asyncio.CancelledError:
            start.cancel()
            await asyncio.wait({start})
            raise
        finally:
            if start in self._yielding:
                self._yielding.remove(start)
        return None if start.cancelled() else start.result()
