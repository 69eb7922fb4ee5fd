"""Free space on the disks that Chaser fills, held against a watermark."""

import math
import shutil
from pathlib import Path

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason

LOOK_SECONDS = 0.1
"""How long a check that found enough is good for: under load, many requests share one."""


class FreeSpace:
    """`watch` adds a place; places that do not exist here (a remote engine's) are passed over."""

    def __init__(self, watermark_bytes: int, clock: Clock, *places: Path) -> None:
        self._watermark = watermark_bytes
        self._clock = clock
        self._places = set(places)
        self._good_until = -math.inf

    def watch(self, place: Path) -> None:
        self._places.add(place)
        self._good_until = -math.inf

    def shortage(self) -> str | None:
        """Which disk has too little room, in a sentence; none: all have enough."""
        for place in self._places:
            if not place.is_dir():
                continue
            free = shutil.disk_usage(place).free
            if free < self._watermark:
                return (
                    f"The disk of {place} has {free} bytes free, less than the {self._watermark} of "
                    "limits.free_space_bytes; make room there."
                )
        return None

    def check(self) -> None:
        """Raises `Unavailable(disk_low)` where there is too little, at the last look or now."""
        now = self._clock.monotonic()
        if now < self._good_until:
            return
        shortage = self.shortage()
        if shortage is not None:
            raise Unavailable(Reason.DISK_LOW, shortage, retry_after=60)
        self._good_until = now + LOOK_SECONDS
