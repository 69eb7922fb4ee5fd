"""The disk under the data is full for a while, and the service dies with it: nothing is lost that was accepted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.disk import fill, small_file_system
from tests.acceptance.service import Service, installation
from tests.acceptance.waiting import until
from tests.chaos.audit import expect_no_leftovers, lines

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root"),
]

SIZE = 1_000_000
PRINTING = f"head -c {SIZE} /dev/zero | tr '\\0' x; until [ -e /tmp/go ]; do sleep 0.1; done"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk") as place:
        yield place


def end_all(service: Service) -> None:
    for container in service.containers(running=True):
        service.docker("exec", container, "touch", "/tmp/go")


def test_a_service_that_dies_on_a_full_disk_finds_all_again_when_there_is_room(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    """What it had read and could not store is still in the engine's log."""
    settings = {"CHASER_LIMITS__FREE_SPACE_BYTES": "1", "CHASER_LIMITS__MAX_RUNNING": "2"}
    with installation(tmp_path, settings, data_dir=small_disk / "data") as service:
        running = [
            service.begin(
                f"until [ -e /tmp/begin ]; do sleep 0.1; done; {PRINTING}; echo {number} >> lines",
                workspace=f"w{number}",
            )
            for number in range(2)
        ]
        waiting = [service.submit(f"echo {number}", queue_timeout_ms=600_000) for number in range(6)]
        filler = fill(small_disk, leave=8192)
        for container in service.containers(running=True):
            service.docker("exec", container, "touch", "/tmp/begin")
        until(
            lambda: "disk" in service.log.lower() and service.http.get("/livez").status_code == 200,
            "it to notice",
        )
        service.kill()
        end_all(service)
        until(lambda: not service.containers(running=True), "the commands to end")
        filler.unlink()
        service.start()
        for job in running:
            row = service.ended(job)
            assert (row["status"], row["attempt"]) == ("succeeded", 1), row
            assert service.output(job) == b"x" * SIZE
        for number, job in enumerate(waiting):
            assert service.ended(job)["result"]["output"] == f"{number}\n"
        assert lines(service, ["w0", "w1"]) == {"w0": ["0"], "w1": ["1"]}
        expect_no_leftovers(service)


def test_what_is_queued_and_run_while_the_disk_fills_and_empties_ends_once(
    small_image: str, small_disk: Path, tmp_path: Path
) -> None:
    """What is refused is refused, what was accepted runs; the disk is full five times over."""
    settings = {"CHASER_LIMITS__FREE_SPACE_BYTES": "1", "CHASER_LIMITS__MAX_RUNNING": "3"}
    with installation(tmp_path, settings, data_dir=small_disk / "data") as service:
        accepted: dict[str, int] = {}
        for number in range(25):
            full = number % 5 == 4
            filler = fill(small_disk, leave=4096) if full else None
            body = {
                "kind": "sandbox.exec",
                "input": {
                    "command": f"echo {number} >> lines; head -c 200000 /dev/zero; exit 0",
                    "workspace": f"w{number}",
                    "env": {"PADDING": "x" * 20_000},
                },
                "idempotency_key": f"n{number}",
                "queue_timeout_ms": 600_000,
                "max_attempts": 10,
            }
            answer = service.http.post("/v1/jobs", json=body)
            if answer.status_code == 201:
                accepted[answer.json()["id"]] = number
            else:
                assert full, answer.text
                assert answer.status_code == 503, answer.text
            if filler is not None:
                filler.unlink()
        assert len(accepted) >= 20
        for job, number in accepted.items():
            row = service.ended(job)
            assert row["status"] == "succeeded", row
            assert service.output(job) == bytes(200_000), number
        found = lines(service, [f"w{number}" for number in accepted.values()])
        assert found == {f"w{number}": [str(number)] for number in accepted.values()}
        assert len(service.jobs()) == len(accepted)
        expect_no_leftovers(service)
