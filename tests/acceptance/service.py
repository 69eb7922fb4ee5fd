"""The real program as a child process: `chaser serve` on a free loopback port, with a data directory of its own."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, cast

import httpx
import psycopg

from tests.acceptance.machine import SMALL, Docker
from tests.acceptance.waiting import until

PROGRAM = Path(sys.executable).parent / "chaser"

Json = dict[str, Any]

USUAL: Mapping[str, str] = {
    "CHASER_PROFILES__DEFAULT__IMAGE": SMALL,
    "CHASER_PROFILES__DEFAULT__NETWORK": "none",
    "CHASER_PROFILES__DEFAULT__LIMITS__MEMORY": "256m",
    "CHASER_LIMITS__RATE": "1000000/minute",
    "CHASER_LIMITS__FREE_SPACE_BYTES": "16m",
    "CHASER_LIMITS__DISK_CLEAN_PERCENT": "100",
    "CHASER_LIMITS__DISK_FULL_PERCENT": "100",
}


def marker() -> str:
    """A word that nothing else on the machine has among its arguments."""
    return f"marker-{uuid.uuid4().hex}"


class Service:
    """One installation: its process, which may be ended and started again, and what belongs to it."""

    def __init__(
        self,
        place: Path,
        settings: Mapping[str, str],
        docker: Docker,
        data_dir: Path | None = None,
        *,
        program: Sequence[str | Path] = (PROGRAM, "serve"),
        key: str | None = None,
        port: int | None = None,
    ) -> None:
        """`key` is an API key that the database has already; none: the one that the first start makes."""
        self.docker = docker
        self.log_file = place / "service.log"
        self.data_dir = data_dir or place / "data"
        self.port = port or free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        engine = {} if docker.host is None else {"CHASER_DOCKER_HOST": docker.host}
        own = {"CHASER_PORT": str(self.port), "CHASER_DATA_DIR": str(self.data_dir)}
        self._place = place
        self._program = program
        self._key = key
        self.environ: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            **_inherited(),
            **USUAL,
            **engine,
            **own,
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.base_url, timeout=90)

    # --- its life

    def start(self, *, ready: bool = True) -> None:
        self.spawn()
        path = "/readyz" if ready else "/livez"
        until(lambda: self._answers(path), f"the service to answer {path}")
        self.http.headers["Authorization"] = f"Bearer {self.key}"

    def spawn(self, more: Mapping[str, str] | None = None) -> None:
        """Start the process, with `more` in its environment, and do not wait for anything."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._program,
                cwd=self._place,
                env={**self.environ, **(more or {})},
                stdout=log,
                stderr=log,
            )

    def stop(self) -> int:
        """End it as an operator does; its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def send(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGCONT)
            self.stop()
        self.http.close()

    @property
    def exit_status(self) -> int | None:
        """None while it lives; the negative number of the signal that killed it."""
        assert self._process is not None
        return self._process.poll()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def resident_bytes(self) -> int:
        """The memory that the process holds now (proc_pid_status(5), VmRSS)."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    @property
    def key(self) -> str:
        return self._key or (self.data_dir / "first.key").read_text().strip()

    @property
    def instance(self) -> str:
        return self.rows("SELECT id FROM instance")[0][0]

    def rows(self, query: LiteralString) -> Sequence[tuple[Any, ...]]:
        """What is in its database, which may be read whether the process lives or not."""
        url = self.environ.get("CHASER_DATABASE_URL")
        if url is not None:
            with psycopg.connect(url) as database:
                return database.execute(query).fetchall()
        with sqlite3.connect(f"file:{self.data_dir / 'chaser.db'}?mode=ro", uri=True) as database:
            return database.execute(query).fetchall()

    @property
    def known(self) -> bool:
        """Whether it has come so far that there is a database of its own."""
        return "CHASER_DATABASE_URL" in self.environ or (self.data_dir / "chaser.db").exists()

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    # --- what it is asked

    def exec(
        self, command: str, *, headers: Mapping[str, str] | None = None, **fields: object
    ) -> httpx.Response:
        return self.http.post("/v1/exec", json={"command": command, **fields}, headers=dict(headers or {}))

    def run(self, command: str, **fields: object) -> Json:
        """The answer of a run that was accepted."""
        return _of(self.http.post("/v1/exec", json={"command": command, **fields}), 200)

    def begin(self, command: str, **fields: object) -> str:
        """The id of a job that runs for itself, and whose command has begun."""
        job = self.submit(command, **fields)
        self.job_when(job, "running")
        return job

    def submit(self, command: str, **fields: object) -> str:
        """The id of a job that runs for itself, and may still wait."""
        headers = {"Prefer": "respond-async"}
        return _of(self.http.post("/v1/exec", json={"command": command, **fields}, headers=headers), 202)[
            "id"
        ]

    def queue(self, kind: str, asked: Mapping[str, object], **fields: object) -> str:
        """The id of a job of any kind."""
        answer = self.http.post("/v1/jobs", json={"kind": kind, "input": asked, **fields})
        assert answer.status_code in {200, 201}, f"{answer.status_code}: {answer.text[:2000]}"
        return answer.json()["id"]

    def job(self, job_id: str, *, wait_ms: int = 0) -> Json:
        return _of(self.http.get(f"/v1/jobs/{job_id}", params={"wait_ms": wait_ms}), 200)

    def ended(self, job_id: str) -> Json:
        job = self.job(job_id, wait_ms=60_000)
        assert job["finished_at"] is not None, f"{job_id} has not ended: {job['status']}"
        return job

    def job_when(self, job_id: str, status: str) -> Json:
        def look() -> Json | None:
            job = self.job(job_id)
            assert job["finished_at"] is None or job["status"] == status, f"it ended: {job['reason']}"
            return job if job["status"] == status else None

        return until(look, f"{job_id} to be {status}")

    def jobs(self) -> Sequence[Json]:
        return _of(self.http.get("/v1/jobs", params={"limit": 100}), 200)["data"]

    def events(self, job_id: str) -> Sequence[Json]:
        return _of(self.http.get(f"/v1/jobs/{job_id}/events"), 200)["data"]

    def cancel(self, job_id: str) -> Json:
        _of(self.http.post(f"/v1/jobs/{job_id}/cancel"), 202)
        return self.ended(job_id)

    def output(self, job_id: str) -> bytes:
        """All that is kept of a job's output, byte for byte."""
        answer = self.http.get(f"/v1/jobs/{job_id}/logs")
        assert answer.status_code == 200, answer.text
        return answer.content

    def frames(self, job_id: str) -> Iterator[Json]:
        with self.http.stream("GET", f"/v1/jobs/{job_id}/logs", params={"format": "ndjson"}) as answer:
            rest = b""
            for data in answer.iter_bytes():
                # httpx's own lines end at every character that Unicode calls a line's end
                *lines, rest = (rest + data).split(b"\n")
                yield from (cast("Json", json.loads(line)) for line in lines)

    # --- what belongs to it

    def containers(self, *, running: bool = False) -> Sequence[str]:
        return self.docker.containers(self.instance, running=running)

    @property
    def made_ahead(self) -> int:
        """How many of its containers wait for jobs to come, when all is at rest."""
        return sum(int(value) for name, value in self.environ.items() if name.endswith("MIN_WARM"))

    def expect_nothing_left(self) -> None:
        """Its containers go in the background, soon after the answer; those that were made ahead are there again."""
        until(
            lambda: len(self.containers()) == self.made_ahead,
            f"the containers of {self.instance} to be removed",
        )

    def _answers(self, path: str) -> bool:
        assert self.alive, f"the service has ended:\n{self.log}"
        try:
            return httpx.get(f"{self.base_url}{path}", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(timeout=40)


@contextmanager
def installation(
    place: Path,
    settings: Mapping[str, str],
    docker: Docker | None = None,
    *,
    ready: bool = True,
    data_dir: Path | None = None,
    program: Sequence[str | Path] = (PROGRAM, "serve"),
) -> Generator[Service]:
    """A service that runs; afterwards it is ended, and whatever containers it has left are removed."""
    service = Service(place, settings, docker or Docker(), data_dir, program=program)
    try:
        service.start(ready=ready)
        yield service
    finally:
        service.close()
        if service.known and service.docker.run("version").returncode == 0:
            service.docker.remove_all(service.instance)


def error_of(answer: httpx.Response, status: int, code: str) -> Json:
    """The error's details, after its status, code, and that it says something to a person."""
    assert (answer.status_code, answer.json().get("error", {}).get("code")) == (status, code), answer.text
    error = answer.json()["error"]
    assert len(error["message"]) > 20
    assert answer.headers["X-Request-Id"]
    return error.get("details") or {}


def _of(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:2000]}"
    return answer.json()


def _inherited() -> dict[str, str]:
    """Where the engine is, if it was named for these tests."""
    return {name: os.environ[name] for name in ("DOCKER_HOST", "CHASER_DOCKER_HOST") if name in os.environ}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
