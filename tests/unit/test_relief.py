"""Room is made where a disk is crowded, and there alone, and not again and again where that does not help."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.relief import PAUSE, Relief

DATA, ENGINE = Path("/data"), Path("/engine")


@dataclass
class Disk:
    """One place, which a remedy frees thing by thing. `full`: above the mark so long as there is as much."""

    place: Path
    things: int
    full: int
    away: bool = False
    relieved: int = 0

    @property
    def crowded(self) -> bool:
        return self.things > self.full

    async def places(self) -> Sequence[Path]:
        if self.away:
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, "It is away, as the test wants it.")
        return [self.place]

    async def relieve(self, enough: Callable[[], bool]) -> int:
        before, self.relieved = self.things, self.relieved + 1
        while self.things and not enough():
            self.things -= 1
        return before - self.things


def relief(clock: ManualClock, *disks: Disk) -> Relief:
    def crowded(places: Sequence[Path]) -> bool:
        return any(disk.crowded for disk in disks if disk.place in places)

    return Relief(crowded, clock, disks)


async def test_what_can_be_done_without_goes_until_it_is_enough(clock: ManualClock) -> None:
    disk = Disk(DATA, things=9, full=6)

    await relief(clock, disk).look()

    assert disk.things == 6


async def test_a_disk_with_room_is_left_as_it_is(clock: ManualClock) -> None:
    full, roomy = Disk(DATA, things=9, full=6), Disk(ENGINE, things=9, full=9)

    await relief(clock, full, roomy).look()

    assert (full.relieved, roomy.relieved, roomy.things) == (1, 0, 9)


async def test_where_it_did_not_help_it_is_tried_again_after_a_pause(clock: ManualClock) -> None:
    disk = Disk(DATA, things=3, full=-1)
    looking = relief(clock, disk)

    await looking.look()
    clock.advance(PAUSE - timedelta(seconds=1))
    await looking.look()
    assert disk.relieved == 1

    clock.advance(timedelta(seconds=1))
    await looking.look()
    assert disk.relieved == 2


async def test_where_it_helped_the_next_look_helps_again(clock: ManualClock) -> None:
    disk = Disk(DATA, things=9, full=6)
    looking = relief(clock, disk)
    await looking.look()
    disk.things = 9

    await looking.look()

    assert (disk.relieved, disk.things) == (2, 6)


@pytest.mark.parametrize("order", [1, -1])
async def test_an_engine_that_is_away_keeps_no_other_disk_from_relief(clock: ManualClock, order: int) -> None:
    away, disk = Disk(ENGINE, 9, 6, away=True), Disk(DATA, 9, 6)

    await relief(clock, *[away, disk][::order]).look()

    assert (away.things, disk.things) == (9, 6)
