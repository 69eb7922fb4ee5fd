"""Whether sandboxes are being started just now: tear-down waits for that, since the two compete for the same cores and
for the same locks of the engine."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Traffic:
    def __init__(self) -> None:
        self._starting = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextmanager
    def starting(self) -> Generator[None]:
        """For the time of one start, its wait for a slot included."""
        self._starting += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._starting -= 1
            if not self._starting:
                self._quiet.set()

    async def lull(self, seconds: float) -> None:
        """Until nothing is being started; `seconds` at the most."""
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return
