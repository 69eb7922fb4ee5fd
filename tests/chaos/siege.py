"""One installation that is killed again and again while jobs come in, and started again each time."""

import itertools
import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx

from tests.acceptance.machine import Docker
from tests.acceptance.service import Json, Service
from tests.acceptance.waiting import until
from tests.chaos.tasks import CONTENT, Task, base, tasks

PROGRAM = (sys.executable, Path(__file__).with_name("program.py"))
PATIENCE = 120.0
BACKLOG = 4
"""How many jobs wait at the least, so that every point comes up."""


class Siege:
    """`accepted` are the jobs that the service has said yes to, by their ids."""

    def __init__(self, service: Service, random: Random) -> None:
        self.service = service
        self.accepted: dict[str, Task] = {}
        self.kills = 0
        answer = service.http.post("/v1/uploads", content=CONTENT)
        assert answer.status_code == 201, answer.text
        self._coming: Iterator[Task] = itertools.chain(
            [base()], tasks(Random(random.random()), answer.json()["id"])
        )
        self._next = next(self._coming)

    def killed_at(self, point: str, passing: int) -> None:
        """Start it, and keep it busy until it has died at that passing of the point."""
        self._ended_at(point, passing, signal.SIGKILL, -signal.SIGKILL)
        self.kills += 1

    def stopped_at(self, point: str, passing: int) -> None:
        """Start it, and keep it busy until it was told to stop at that passing of the point, and has stopped."""
        self._ended_at(point, passing, signal.SIGTERM, 0)

    def _ended_at(self, point: str, passing: int, how: signal.Signals, status: int) -> None:
        self.service.spawn({"CHAOS_POINT": point, "CHAOS_PASSING": str(passing), "CHAOS_SIGNAL": how.name})
        what = f"passing {passing} of the point {point!r}"
        until(self._ended_busy, what, PATIENCE)
        ended = self.service.exit_status
        assert ended == status, f"{what}: it ended with {ended}:\n{self.service.log[-4000:]}"

    def killed_after(self, seconds: float) -> None:
        """Start it, keep it busy for so long, and kill it wherever it is."""
        self._busy_for(seconds)
        self.service.kill()
        self.kills += 1

    def stopped_after(self, seconds: float) -> None:
        """Start it, keep it busy for so long, and end it as an operator does."""
        self._busy_for(seconds)
        assert self.service.stop() == 0, self.service.log[-4000:]

    def losing_answers(self, share: float, seed: int, jobs: int) -> None:
        """Start it so that it loses a share of its database's answers, and have it do so many more jobs like that."""
        self.service.spawn({"CHAOS_LOSE": str(share), "CHAOS_SEED": str(seed)})
        wanted = len(self.accepted) + jobs
        until(lambda: self._busy() or len(self.accepted) >= wanted, "the jobs to be accepted", PATIENCE)
        for job in self.accepted:
            until(lambda job=job: self._ended(job), f"{job} to end", PATIENCE)
        assert self.service.stop() == 0, self.service.log[-4000:]

    def finished(self, at_least: int) -> None:
        """Start it and leave it in peace until all is done, of so many jobs in all at the least."""
        self.service.start()
        while len(self.accepted) < at_least:
            self._submit()
        for job in self.accepted:
            until(lambda job=job: self._ended(job), f"{job} to end", PATIENCE)
        self.service.expect_nothing_left()

    def _busy_for(self, seconds: float) -> None:
        self.service.start()
        until_then = time.monotonic() + seconds
        until(lambda: self._busy() or time.monotonic() > until_then, "a while to pass", PATIENCE)

    def _ended_busy(self) -> bool:
        self._busy()
        return self.service.exit_status is not None

    def _busy(self) -> None:
        """See to it that jobs wait. The service may die, or not yet answer, at any moment of this."""
        try:
            found = self.service.http.get("/v1/jobs", params={"status": "queued", "limit": 20})
            if found.status_code == 200 and len(found.json()["data"]) < BACKLOG:
                self._submit()
        except httpx.TransportError:
            return

    def _submit(self) -> None:
        """The next job. One that was sent and not answered is sent again, under the same key."""
        answer = self.service.http.post("/v1/jobs", json=self._next.body)
        if answer.status_code == 503:
            return
        assert answer.status_code in {200, 201}, f"{answer.status_code}: {answer.text}"
        self.accepted[answer.json()["id"]] = self._next
        self._next = next(self._coming)

    def _ended(self, job: str) -> Json | None:
        row = self.service.job(job, wait_ms=10_000)
        return row if row["finished_at"] is not None else None


@contextmanager
def siege(place: Path, random: Random, settings: dict[str, str]) -> Generator[Siege]:
    service = Service(place, settings, Docker(), program=PROGRAM)
    try:
        service.start()
        made = Siege(service, random)
        service.kill()
        yield made
    finally:
        service.close()
        service.docker.remove_all(service.instance)
