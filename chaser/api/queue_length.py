"""How many jobs wait, without a count for each one that is to be written: that would cost more the more of them wait."""

import asyncio
import math
from collections.abc import Awaitable, Callable

from chaser.clock import Clock
from chaser.errors import Unavailable

COUNTED_SECONDS = 1.0
"""How long a count is built on: jobs come in other ways, and through other processes, too."""
RENEWED_SECONDS = COUNTED_SECONDS / 2
"""From this age on, while jobs come, they are counted again beside them, so that none of them waits for that."""


class QueueLength:
    """No more can wait than were counted last and have been let in since."""

    def __init__(self) -> None:
        self._at_most = 0
        self._unwritten = 0
        """Of these, how many were let in and may not be in the store yet, where a count would see them."""
        self._counted_at = -math.inf
        self._counting = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    async def let_in(
        self, more: int, limit: int, count: Callable[[], Awaitable[int]], clock: Clock
    ) -> int | None:
        """None if `more` fit within `limit`, which they are taken to fill from now on; else how many wait.

        Whoever is let in says so with `written` when that is over, whatever came of it.
        """
        if not self._fits(more, limit, clock):
            async with self._counting:
                # Of many that come at once, one counts for all.
                if not self._fits(more, limit, clock):
                    await self._count(count, clock)
        elif self._age(clock) >= RENEWED_SECONDS and self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(count, clock))
        if self._at_most + more > limit:
            return self._at_most
        self._at_most += more
        self._unwritten += more
        return None

    def written(self, more: int) -> None:
        """They are in the store, or will not be."""
        self._unwritten -= more

    def _fits(self, more: int, limit: int, clock: Clock) -> bool:
        return self._age(clock) < COUNTED_SECONDS and self._at_most + more <= limit

    def _age(self, clock: Clock) -> float:
        return clock.monotonic() - self._counted_at

    async def _renew(self, count: Callable[[], Awaitable[int]], clock: Clock) -> None:
        try:
            await self._count(count, clock)
        except Unavailable:
            pass  # whoever comes when the last count is too old is told
        finally:
            self._renewing = None

    async def _count(self, count: Callable[[], Awaitable[int]], clock: Clock) -> None:
        """What is let in meanwhile, or was and is on its way to the store, is added whether or not the count has seen it:
        never too few are taken to wait."""
        began, before, unwritten = clock.monotonic(), self._at_most, self._unwritten
        counted = await count()
        self._at_most, self._counted_at = counted + unwritten + self._at_most - before, began
