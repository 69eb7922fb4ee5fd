"""How long GitHub still gives jobs to images' runners, asked once a day and not once a job."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.runners.registration import Owner
from chaser.runners.versions import (
    Schedule,
    Schedules,
    Standing,
    Unasked,
    Unknown,
    standing,
    version_of,
)
from chaser.sandboxes.engine import Image

DAY: Final = timedelta(days=1)
SOON: Final = timedelta(minutes=10)
"""When GitHub is asked again after it could not be."""


@dataclass(slots=True)
class _Known:
    """What is known of a version. The lock makes those who come during a call wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answered: bool = False
    schedule: Schedule | None = None
    trouble: str = ""
    ask_at: float = float("-inf")
    """On the monotonic clock."""


class Ages:
    """GitHub's schedule is the same whoever asks, so one answer serves all accounts.

    An answer outlives GitHub's silence: a version whose end was known ends at that moment, asked or not.
    """

    def __init__(self, schedules: Schedules, clock: Clock) -> None:
        self._schedules = schedules
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def standing(self, owner: Owner, image: Image) -> Standing:
        """Asks as the App is installed for `owner`. Never raises for GitHub's sake."""
        version = version_of(image.labels)
        if isinstance(version, Unknown):
            return version
        known = self._known.setdefault(version, _Known())
        async with known.lock:
            if known.ask_at <= self._clock.monotonic():
                await self._ask(known, owner, version)
        if not known.answered:
            return Unasked(version, known.trouble)
        return standing(version, known.schedule, self._clock.now())

    async def _ask(self, known: _Known, owner: Owner, version: str) -> None:
        try:
            known.schedule = await self._schedules.find(owner, version)
        except (Refused, Unavailable) as error:
            known.trouble = error.message
            known.ask_at = self._clock.monotonic() + SOON.total_seconds()
            return
        known.answered = True
        known.ask_at = self._clock.monotonic() + DAY.total_seconds()
