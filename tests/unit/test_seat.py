"""One service process a data directory, and the same name for it at every start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaser.errors import ConfigError
from chaser.seat import take_seat

HOLDER = """
import sys, pathlib
from chaser.seat import take_seat
print(take_seat(pathlib.Path(sys.argv[1])).id, flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_and_a_killed_one_leaves_the_seat_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().strip()

        with pytest.raises(ConfigError, match="another service runs"):
            take_seat(tmp_path)

        holder.kill()
        holder.wait()
    seat = take_seat(tmp_path)
    assert seat.id == name
    os.close(seat.descriptor)


def test_each_directory_has_a_name_of_its_own(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()

    one, other = take_seat(first), take_seat(second)

    assert one.id != other.id
    os.close(one.descriptor)
    os.close(other.descriptor)
