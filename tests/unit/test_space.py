"""Free space against a watermark, on a real disk."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.space import LOOK_SECONDS, FreeSpace, Room, Watermarks

MORE_THAN_ANY_DISK = 1 << 80


def test_enough_room_is_no_shortage(tmp_path: Path) -> None:
    space = FreeSpace(Watermarks(1), ManualClock(), tmp_path)

    assert space.shortage() is None
    space.check()


def test_too_little_room_is_named_with_its_place(tmp_path: Path) -> None:
    space = FreeSpace(Watermarks(MORE_THAN_ANY_DISK), ManualClock(), tmp_path)

    assert str(tmp_path) in (space.shortage() or "")
    with pytest.raises(Unavailable) as unavailable:
        space.check()
    assert unavailable.value.reason is Reason.DISK_LOW


def test_a_place_may_be_added_later(tmp_path: Path) -> None:
    space = FreeSpace(Watermarks(MORE_THAN_ANY_DISK), ManualClock())
    assert space.shortage() is None

    space.watch(tmp_path)

    assert space.shortage() is not None


def test_a_place_of_another_machine_is_passed_over(tmp_path: Path) -> None:
    assert FreeSpace(Watermarks(MORE_THAN_ANY_DISK), ManualClock(), tmp_path / "elsewhere").shortage() is None


def test_a_check_believes_in_room_for_a_moment_and_never_in_the_want_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, free = ManualClock(), [10]

    def usage(_place: Path) -> SimpleNamespace:
        return SimpleNamespace(free=free[0], used=0)

    monkeypatch.setattr("shutil.disk_usage", usage)
    space = FreeSpace(Watermarks(5), clock, tmp_path)
    space.check()
    free[0] = 1
    space.check()
    assert space.shortage() is not None

    clock.advance(timedelta(seconds=LOOK_SECONDS))
    with pytest.raises(Unavailable):
        space.check()
    free[0] = 10
    space.check()


@pytest.fixture
def usage(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What any disk says of itself; the test changes it."""
    said = {"used": 50, "free": 50}

    def usage(_place: Path) -> SimpleNamespace:
        return SimpleNamespace(**said)

    monkeypatch.setattr("shutil.disk_usage", usage)
    return said


def percent(usage: dict[str, int], used: int) -> None:
    usage.update(used=used, free=100 - used)


def test_a_disk_is_as_full_as_df_has_it() -> None:
    """What a file system keeps for root is neither used nor free."""
    assert Room(used_bytes=60, free_bytes=20).used_percent == 75
    assert Room(used_bytes=0, free_bytes=0).used_percent == 0


@pytest.mark.parametrize(("used", "full"), [(90, False), (91, True), (100, True)])
def test_above_the_percentage_nothing_new_starts(
    tmp_path: Path, usage: dict[str, int], used: int, *, full: bool
) -> None:
    space = FreeSpace(Watermarks(0, full_percent=90), ManualClock(), tmp_path)
    percent(usage, used)

    shortage = space.shortage()

    assert (shortage is not None) is full
    if shortage is not None:
        assert f"{used}.0 % full" in shortage
        assert "limits.disk_full_percent" in shortage


def test_the_bytes_count_beside_the_percentage(tmp_path: Path, usage: dict[str, int]) -> None:
    space = FreeSpace(Watermarks(60, full_percent=90), ManualClock(), tmp_path)
    assert "limits.free_space_bytes" in (space.shortage() or "")


@pytest.mark.parametrize(("used", "crowded"), [(80, False), (81, True)])
def test_above_the_lower_percentage_a_disk_is_crowded_and_new_work_still_starts(
    tmp_path: Path, usage: dict[str, int], used: int, *, crowded: bool
) -> None:
    space = FreeSpace(Watermarks(0, clean_percent=80, full_percent=90), ManualClock(), tmp_path)
    percent(usage, used)

    assert space.crowded([tmp_path]) is crowded
    assert not space.crowded([tmp_path / "elsewhere"])
    assert space.shortage() is None


def test_a_full_disk_is_above_no_percentage_of_a_hundred(tmp_path: Path, usage: dict[str, int]) -> None:
    space = FreeSpace(Watermarks(0), ManualClock(), tmp_path)
    percent(usage, 100)

    assert not space.crowded([tmp_path])
    assert space.shortage() is None


def test_what_is_used_is_measured(tmp_path: Path, usage: dict[str, int]) -> None:
    space = FreeSpace(Watermarks(0, full_percent=90), ManualClock(), tmp_path)
    percent(usage, 95)

    measured = {measure.name: dict(measure.values) for measure in space.measures()}

    place = (("place", str(tmp_path)),)
    assert measured["chaser_disk_used_ratio"] == {place: 0.95}
    assert measured["chaser_disk_free_bytes"] == {place: 5}
    assert measured["chaser_disk_holds"] == {(): 1}
