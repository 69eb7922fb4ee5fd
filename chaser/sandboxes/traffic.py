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
        """For the time of one start that a job waits for, its wait for a slot included; or of a hand-over."""
        self._starting += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._starting -= 1
            if not self._starting:
                self._quiet.set()

    async def quiet(self) -> None:
        """Until nothing is being started."""
        while self._starting:
            await self._quiet.wait()

    async def lull(self, seconds: float) -> None:
        """Until nothing is being started; `seconds` at the most."""
        try:
            async with asyncio.timeout(seconds):
                await self.quiet()
        except TimeoutError:
            return
