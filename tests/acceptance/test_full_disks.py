"""A disk that fills: new work is refused in time, and where it is full after all, nothing is lost that was accepted."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service, error_of, installation
from tests.acceptance.waiting import until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root"),
]

SIZE = 64 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """A file that takes all the room but `leave` bytes."""
    filler = disk / "filler"
    block = bytes(4096)
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(block * 16 if shutil.disk_usage(disk).free > leave + 65536 else block)
            if shutil.disk_usage(disk).free <= leave:
                break
    return filler


def test_too_little_room_refuses_new_work_and_its_return_takes_it_again(
    small_image: str, small_disk: Path
) -> None:
    settings = {"CHASER_LIMITS__FREE_SPACE_BYTES": "16m"}
    with installation(small_disk, settings) as service:
        assert service.run("true")["status"] == "succeeded"
        before = len(service.jobs())
        filler = fill(small_disk, leave=8 << 20)
        answer = service.exec("true")
        error_of(answer, 503, "disk_low")
        assert str(service.data_dir) in answer.json()["error"]["message"]
        assert int(answer.headers["Retry-After"]) > 0
        assert len(service.jobs()) == before
        filler.unlink()
        assert service.run("true")["status"] == "succeeded"
        service.expect_nothing_left()


def test_a_full_disk_of_the_database_is_told_and_the_service_lives_on(
    small_image: str, small_disk: Path
) -> None:
    with installation(small_disk, {"CHASER_LIMITS__FREE_SPACE_BYTES": "1"}) as service:
        assert service.run("true")["status"] == "succeeded"
        filler = fill(small_disk)
        answer = until(lambda: refused(service), "the database to be full")
        assert "disk" in answer
        assert service.http.get("/livez").status_code == 200
        assert service.alive
        filler.unlink()
        until(lambda: service.exec("true").status_code == 200, "the database to be written again")
        service.expect_nothing_left()


def refused(service: Service) -> str | None:
    """The message, once a call cannot be written; small writes still fit into pages that the database has."""
    answer = service.exec("true", env={"A": "x" * 100_000})
    if answer.status_code == 200:
        return None
    error_of(answer, 503, "store_unavailable")
    return answer.json()["error"]["message"]


def test_output_waits_for_room_and_is_whole_when_there_is_some(small_image: str, small_disk: Path) -> None:
    """The run itself is not disturbed: it ends as it would have, and its end is written as soon as it can be."""
    size = 3_000_000
    with installation(small_disk, {"CHASER_LIMITS__FREE_SPACE_BYTES": "1"}) as service:
        job = service.begin(f"sleep 1; head -c {size} /dev/zero | tr '\\0' x; exit 6")
        filler = fill(small_disk)
        until(lambda: "store" in service.log and not service.containers(running=True), "the run to end")
        assert service.alive
        assert service.job(job)["finished_at"] is None
        filler.unlink()
        row = service.ended(job)
        assert (row["reason"], row["result"]["exit_code"]) == ("nonzero_exit", 6)
        assert row["result"]["output_bytes"] == size
        assert service.output(job) == b"x" * size
        service.expect_nothing_left()
