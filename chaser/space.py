"""Free space on the disks that Chaser fills, held against a watermark."""

import math
import shutil
from pathlib import Path

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason

LOOK_SECONDS = 0.2
"""How long a look at the disks is good for: under load, many that ask share one."""


class FreeSpace:
    """`watch` adds a place; places that do not exist here (a remote engine's) are passed over."""

    def __init__(self, watermark_bytes: int, clock: Clock, *places: Path) -> None:
        self._watermark = watermark_bytes
        self._clock = clock
        self._places = set(places)
        self._shortage: str | None = None
        self._good_until = -math.inf

    def watch(self, place: Path) -> None:
        self._places.add(place)
        self._good_until = -math.inf

    def shortage(self) -> str | None:
        """Which disk has too little room, in a sentence; none: all have enough."""
        now = self._clock.monotonic()
        if now >= self._good_until:
            self._shortage, self._good_until = self._look(), now + LOOK_SECONDS
        return self._shortage

    def _look(self) -> str | None:
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
        """Raises `Unavailable(disk_low)` where there is too little."""
        shortage = self.shortage()
        if shortage is not None:
            raise Unavailable(Reason.DISK_LOW, shortage, retry_after=60)
