"""Free space against a watermark, on a real disk."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.space import LOOK_SECONDS, FreeSpace

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


def test_a_check_believes_in_room_for_a_moment_and_never_in_the_want_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, free = ManualClock(), [10]

    def usage(_place: Path) -> SimpleNamespace:
        return SimpleNamespace(free=free[0])

    monkeypatch.setattr("shutil.disk_usage", usage)
    space = FreeSpace(5, clock, tmp_path)
    space.check()
    free[0] = 1
    space.check()
    assert space.shortage() is not None

    clock.advance(timedelta(seconds=LOOK_SECONDS))
    with pytest.raises(Unavailable):
        space.check()
    free[0] = 10
    space.check()
