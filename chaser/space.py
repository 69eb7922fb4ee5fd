"""How full the disks are that Chaser fills, held against watermarks."""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.measures import Measure, Sort

LOOK_SECONDS = 0.1
"""How long a check that found enough is good for: under load, many requests share one."""


@dataclass(frozen=True, slots=True)
class Watermarks:
    """A disk that is used to 100 % is above none of them that is 100."""

    free_bytes: int
    """With less nothing new starts."""
    clean_percent: int = 100
    """Above it, what can be done without goes."""
    full_percent: int = 100
    """Above it nothing new starts."""


@dataclass(frozen=True, slots=True)
class Room:
    """Of the file system that a place is on."""

    used_bytes: int
    free_bytes: int
    """For whoever asks: some file systems keep a part for root."""

    @property
    def used_percent(self) -> float:
        """As df(1) has it."""
        return 100 * self.used_bytes / max(1, self.used_bytes + self.free_bytes)


class FreeSpace:
    """`watch` adds a place; places that do not exist here (a remote engine's) are passed over."""

    def __init__(self, watermarks: Watermarks, clock: Clock, *places: Path) -> None:
        self._watermarks = watermarks
        self._clock = clock
        self._places = set(places)
        self._good_until = -math.inf

    def watch(self, place: Path) -> None:
        self._places.add(place)
        self._good_until = -math.inf

    def shortage(self) -> str | None:
        """Which disk has too little room, in a sentence; none: all have enough."""
        marks = self._watermarks
        for place, room in _rooms(self._places).items():
            if room.free_bytes < marks.free_bytes:
                return (
                    f"The disk of {place} has {room.free_bytes} bytes free, less than the {marks.free_bytes} of "
                    "limits.free_space_bytes; make room there."
                )
            if room.used_percent > marks.full_percent:
                return (
                    f"The disk of {place} is {room.used_percent:.1f} % full, more than the {marks.full_percent} of "
                    "limits.disk_full_percent; make room there."
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

    def crowded(self, places: Iterable[Path]) -> bool:
        """Whether the disk of one of these is so full that what can be done without should go."""
        clean = self._watermarks.clean_percent
        return any(room.used_percent > clean for room in _rooms(places).values())

    def measures(self) -> Sequence[Measure]:
        rooms = _rooms(self._places)
        return (
            Measure(
                "chaser_disk_used_ratio",
                "How full the disk of a place is. Above limits.disk_clean_percent what can be done without goes.",
                Sort.GAUGE,
                {(("place", str(place)),): room.used_percent / 100 for place, room in rooms.items()},
            ),
            Measure(
                "chaser_disk_free_bytes",
                "What is free there.",
                Sort.GAUGE,
                {(("place", str(place)),): room.free_bytes for place, room in rooms.items()},
            ),
            Measure(
                "chaser_disk_holds",
                "1 while nothing new starts for want of room: limits.disk_full_percent, limits.free_space_bytes. Make room.",
                Sort.GAUGE,
                {(): float(self.shortage() is not None)},
            ),
        )


def _rooms(places: Iterable[Path]) -> Mapping[Path, Room]:
    usages = {place: shutil.disk_usage(place) for place in sorted(places) if place.is_dir()}
    return {place: Room(usage.used, usage.free) for place, usage in usages.items()}
