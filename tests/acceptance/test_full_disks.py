"""A disk that fills: new work is refused in time, and where it is full after all, nothing is lost that was accepted."""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.disk import fill, small_file_system
from tests.acceptance.service import Service, error_of, installation
from tests.acceptance.waiting import until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root"),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk") as place:
        yield place


@contextmanager
def service_on(disk: Path, place: Path, watermark: str) -> Generator[Service]:
    """With its data, and nothing else, on the small disk."""
    settings = {"CHASER_LIMITS__FREE_SPACE_BYTES": watermark}
    with installation(place, settings, data_dir=disk / "data") as service:
        assert service.run("true")["status"] == "succeeded"
        service.expect_nothing_left()
        yield service
        service.expect_nothing_left()


def test_too_little_room_refuses_new_work_and_its_return_takes_it_again(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    with service_on(small_disk, tmp_path, "16m") as service:
        filler = fill(small_disk, leave=8 << 20)
        # a look at the disk is good for a moment
        until(lambda: service.exec("true").status_code == 503, "the want of room to be seen")
        before = len(service.jobs())
        answer = service.exec("true")
        error_of(answer, 503, "disk_low")
        assert str(service.data_dir) in answer.json()["error"]["message"]
        assert int(answer.headers["Retry-After"]) > 0
        assert len(service.jobs()) == before
        filler.unlink()
        assert service.run("true")["status"] == "succeeded"


def test_what_waits_when_the_room_is_gone_runs_when_it_is_back(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    settings = {"CHASER_LIMITS__FREE_SPACE_BYTES": "16m", "CHASER_LIMITS__MAX_RUNNING": "1"}
    with installation(tmp_path, settings, data_dir=small_disk / "data") as service:
        running, waiting = service.begin("sleep 60"), service.submit("echo at last")
        filler = fill(small_disk, leave=8 << 20)
        service.cancel(running)
        until(lambda: "No new job starts" in service.log, "the dispatcher to hold")
        assert service.job(waiting)["status"] == "queued"
        filler.unlink()
        assert service.ended(waiting)["result"]["output"] == "at last\n"
        service.expect_nothing_left()


def test_a_full_disk_of_the_database_is_told_and_the_service_lives_on(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    with service_on(small_disk, tmp_path, "1") as service:
        filler = fill(small_disk, leave=8192)
        answer = service.exec("true", env={"A": "x" * 100_000})
        error_of(answer, 503, "store_unavailable")
        assert "disk" in answer.json()["error"]["message"]
        assert service.http.get("/livez").status_code == 200
        assert service.containers() == []
        filler.unlink()
        assert service.run("true")["status"] == "succeeded"


def test_output_waits_for_room_and_is_whole_when_there_is_some(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    """The run itself is not disturbed: it ends as it would have, and its end is written as soon as it can be."""
    size = 3_000_000
    with service_on(small_disk, tmp_path, "1") as service:
        job = service.begin(f"sleep 1; head -c {size} /dev/zero | tr '\\0' x; exit 6")
        filler = fill(small_disk, leave=8192)
        until(lambda: not service.containers(running=True), "the command to end")
        assert service.job(job)["finished_at"] is None
        filler.unlink()
        row = service.ended(job)
        assert (row["reason"], row["result"]["exit_code"]) == ("nonzero_exit", 6)
        assert row["result"]["output_bytes"] == size
        assert service.output(job) == b"x" * size
