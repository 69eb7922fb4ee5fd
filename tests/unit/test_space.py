"""Free space against a watermark, on a real disk."""

from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.space import FreeSpace

MORE_THAN_ANY_DISK = 1 << 80


def test_enough_room_is_no_shortage(tmp_path: Path) -> None:
    space = FreeSpace(1, ManualClock(), tmp_path)

    assert space.shortage() is None
    space.check()


def test_too_little_room_is_named_with_its_place(tmp_path: Path) -> None:
    space = FreeSpace(MORE_THAN_ANY_DISK, ManualClock(), tmp_path)

    assert str(tmp_path) in (space.shortage() or "")
    with pytest.raises(Unavailable) as unavailable:
        space.check()
    assert unavailable.value.reason is Reason.DISK_LOW


def test_a_place_may_be_added_later(tmp_path: Path) -> None:
    space = FreeSpace(MORE_THAN_ANY_DISK, ManualClock())
    assert space.shortage() is None

    space.watch(tmp_path)

    assert space.shortage() is not None


def test_a_place_of_another_machine_is_passed_over(tmp_path: Path) -> None:
    assert FreeSpace(MORE_THAN_ANY_DISK, ManualClock(), tmp_path / "elsewhere").shortage() is None
