"""How many jobs wait, without a count for each one that is to be written: that would cost more the more of them wait."""

import asyncio
import math
from collections.abc import Awaitable, Callable

from chaser.clock import Clock

COUNTED_SECONDS = 1.0
"""How long a count is built on: jobs come in other ways, and through other processes, too."""


class QueueLength:
    """No more can wait than were counted last and have been let in since."""

    def __init__(self) -> None:
        self._at_most = 0
        self._good_until = -math.inf
        self._counting = asyncio.Lock()

    async def let_in(
        self, more: int, limit: int, count: Callable[[], Awaitable[int]], clock: Clock
    ) -> int | None:
        """None if `more` fit within `limit`, which they are taken to fill from now on; else how many wait."""
        if not self._fits(more, limit, clock):
            async with self._counting:
                # Of many that come at once, one counts for all.
                if not self._fits(more, limit, clock):
                    self._at_most = await count()
                    self._good_until = clock.monotonic() + COUNTED_SECONDS
        if self._at_most + more > limit:
            return self._at_most
        self._at_most += more
        return None

    def _fits(self, more: int, limit: int, clock: Clock) -> bool:
        return clock.monotonic() < self._good_until and self._at_most + more <= limit
