"""What the service's memory grows by while two hundred sandboxes run at once."""

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.report import MIB, say
from bench.service import IMAGE, Service, running
from chaser.sandboxes.labels import SANDBOX

SANDBOXES = 200
LONGEST_SECONDS = 900.0


def measure() -> None:
    limits = {"CHASER_LIMITS__MAX_RUNNING": str(SANDBOXES), "CHASER_LIMITS__MAX_QUEUED": "1000"}
    with running(**limits) as service:
        # What a first run loads is not what many cost.
        service.exec("true")
        time.sleep(2)
        idle = service.resident_bytes()
        try:
            for _ in range(SANDBOXES):
                _sleep(service)
            _until(lambda: len(_listed(service, "running")) == SANDBOXES)
            time.sleep(5)
            grown = service.resident_bytes() - idle
        finally:
            _end(service)
    say(f"{SANDBOXES} sandboxes at once, memory", f"{grown / MIB:.0f} MiB more than idle", "less than 60")


def _sleep(service: Service) -> None:
    asked = {"command": "sleep 3600", "image": IMAGE, "network": "none", "timeout_ms": 3_600_000}
    service.call("POST", "/v1/jobs", {"kind": "sandbox.exec", "input": asked})


def _end(service: Service) -> None:
    """What runs would outlive the service, so all of it is ended before, and gone."""
    ours: set[str] = set()
    for status in ("queued", "starting", "running"):
        for job in _listed(service, status):
            ours.add(job["session_id"])
            service.call("POST", f"/v1/jobs/{job['id']}/cancel")
    _until(lambda: ours.isdisjoint(_present()))


def _listed(service: Service, status: str) -> Sequence[dict[str, Any]]:
    jobs: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = service.call("GET", f"/v1/jobs?limit=100&status={status}{cursor}")
        jobs += page["data"]
        if page["next_cursor"] is None:
            return jobs
        cursor = f"&cursor={page['next_cursor']}"


def _present() -> set[str]:
    """The sandboxes that the engine has."""
    listed = subprocess.run(
        ["docker", "ps", "--all", f"--filter=label={SANDBOX}", '--format={{.Label "' + SANDBOX + '"}}'],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return set(listed.stdout.split())


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(1)
