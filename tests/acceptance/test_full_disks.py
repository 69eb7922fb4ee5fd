"""A disk that fills: new work is refused in time, and where it is full after all, nothing is lost that was accepted."""

import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import httpx
import pytest

from chaser.simulator.delivery import queued
from chaser.simulator.payload import Job
from tests.acceptance.disk import fill, fill_to, small_file_system, used_percent
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


SECRET = "the webhook's"


def test_above_90_percent_nothing_new_starts_while_runs_go_on_and_webhooks_are_stored(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    settings = {
        "CHASER_LIMITS__FREE_SPACE_BYTES": "1",
        "CHASER_LIMITS__DISK_FULL_PERCENT": "90",
        "CHASER_LIMITS__MAX_RUNNING": "1",
        "CHASER_GITHUB__WEBHOOK_SECRET": SECRET,
    }
    with installation(tmp_path, settings, data_dir=small_disk / "data") as service:
        running = service.begin("until [ -e /tmp/go ]; do sleep 0.05; done; echo unharmed")
        waiting = service.submit("echo at last")
        filler = fill_to(small_disk, 93)
        until(lambda: _posted(service).status_code == 503, "the want of room to be seen")
        answer = _posted(service)
        error_of(answer, 503, "disk_low")
        assert "limits.disk_full_percent" in answer.json()["error"]["message"]

        sent = queued(Job(("chaser",), id=77))
        told = service.http.post("/webhooks/github", content=sent.body, headers=sent.headers(SECRET))
        assert (told.status_code, told.json()["decision"]) == (202, "accepted")
        (container,) = service.containers(running=True)
        service.docker("exec", container, "touch", "/tmp/go")
        ended = service.ended(running)
        assert (ended["status"], ended["result"]["output"]) == ("succeeded", "unharmed\n")

        until(lambda: "No new job starts" in service.log, "the dispatcher to hold")
        assert service.job(waiting)["waiting"]["because"] == "disk"
        story = service.http.get("/v1/github/jobs/77").json()
        assert story["state"] == "planned"
        assert "for room on the disk" in story["why"]
        assert "chaser_disk_holds 1" in service.http.get("/metrics").text.splitlines()

        filler.unlink()
        assert service.ended(waiting)["result"]["output"] == "at last\n"
        until(lambda: _why(service, 77, "no credentials"), "the workflow job to have its turn")
        service.expect_nothing_left()


def _posted(service: Service) -> httpx.Response:
    """The answer to a new job, whether or not it has its turn."""
    return service.exec("true", headers={"Prefer": "respond-async"})


def _why(service: Service, number: int, words: str) -> bool:
    return words in service.http.get(f"/v1/github/jobs/{number}/why").json()["why"]


def test_above_80_percent_expired_uploads_go_before_their_time_and_others_stay(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    settings = {"CHASER_LIMITS__FREE_SPACE_BYTES": "1", "CHASER_LIMITS__DISK_CLEAN_PERCENT": "80"}
    with installation(tmp_path, settings, data_dir=small_disk / "data") as service:
        old, new = [_uploaded(service, 4 << 20) for _ in range(2)]
        # Half an hour ago: a sweep by the clock would let it lie for half an hour more.
        _write(service, "UPDATE uploads SET expires_at = created_at - 1800 * 1000000 WHERE id = ?", old)
        fill_to(small_disk, 84)

        until(lambda: not (service.data_dir / "uploads" / old).exists(), "the expired upload to go")

        assert used_percent(small_disk) < 80
        assert (service.data_dir / "uploads" / new).stat().st_size == 4 << 20
        assert service.run("true")["status"] == "succeeded"
        service.expect_nothing_left()


def _uploaded(service: Service, size: int) -> str:
    answer = service.http.post("/v1/uploads", content=bytes(size))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def _write(service: Service, statement: LiteralString, *values: object) -> None:
    with sqlite3.connect(service.data_dir / "chaser.db", timeout=30) as database:
        assert database.execute(statement, values).rowcount == 1
