"""A disk of the tests' own, which they may fill."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.waiting import until

SIZE = 64 << 20


@contextmanager
def small_file_system(place: Path, size: int = SIZE) -> Generator[Path]:
    """A file system of its own at `place`, which is made. Needs root."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def used_percent(disk: Path) -> float:
    usage = shutil.disk_usage(disk)
    return 100 * usage.used / usage.total


def fill_to(disk: Path, percent: float) -> Path:
    """As `fill`, until so much of it is used."""
    return fill(disk, leave=round(shutil.disk_usage(disk).total * (1 - percent / 100)))


def fill(disk: Path, *, leave: int) -> Path:
    """A file that takes all the room but `leave` bytes, though others may write there meanwhile."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        until(lambda: _filled(file.fileno(), shutil.disk_usage(disk).free - leave), "the disk to be full")
    return filler


def _filled(descriptor: int, more: int) -> bool:
    try:
        if more > 0:
            os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, more)
    except OSError:
        return False
    return True
