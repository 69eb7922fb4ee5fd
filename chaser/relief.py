"""Makes room on disks that fill: what can be done without goes, the least missed first, before nothing new may start."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable

log = structlog.stdlib.get_logger()

LOOK = timedelta(seconds=5)
"""Nothing tells that a disk fills."""
PAUSE = timedelta(minutes=5)
"""After a relief that was not enough: what it left cannot be done without yet."""


class Remedy(Protocol):
    async def places(self) -> Sequence[Path]:
        """The disks on which it makes room. Raises `Unavailable`."""
        ...

    async def relieve(self, enough: Callable[[], bool]) -> int:
        """Remove what can be done without, until it is enough; how many things went. Raises `Unavailable`."""
        ...


class Relief:
    def __init__(
        self, crowded: Callable[[Sequence[Path]], bool], clock: Clock, remedies: Sequence[Remedy]
    ) -> None:
        """`crowded` says whether the disk of one of these places is too full."""
        self._crowded = crowded
        self._clock = clock
        self._remedies = remedies
        self._not_before: dict[int, float] = {}
        """By the remedy's place in the list, on the monotonic clock."""

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK.total_seconds())

    async def look(self) -> None:
        """Once, at all disks."""
        for number, remedy in enumerate(self._remedies):
            if self._clock.monotonic() < self._not_before.get(number, 0.0):
                continue
            try:
                enough = await self._relieved(remedy)
            except Unavailable as error:
                log.warning("Cannot make room yet.", action="relief_later", error=error.message)
                enough = False
            if not enough:
                self._not_before[number] = self._clock.monotonic() + PAUSE.total_seconds()

    async def _relieved(self, remedy: Remedy) -> bool:
        """Whether there is room enough, afterwards."""
        places = await remedy.places()

        def enough() -> bool:
            return not self._crowded(places)

        if enough():
            return True
        removed = await remedy.relieve(enough)
        relieved = enough()
        log.warning(
            "A disk was too full; made room."
            if relieved
            else "A disk is too full, and nothing more that can be done without is on it.",
            action="relief",
            places=[str(place) for place in places],
            removed=removed,
        )
        return relieved
