"""A simulated GitHub beyond this machine: at a public address, since sandboxes with network reach no other."""

import re
import secrets
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.service import Service, installation
from tests.acceptance.waiting import until

SECRET = "the webhook's"
PORT = 9400

_LOOKS = re.compile(
    r"\w+ /app/hook/deliveries(/.*)?|GET /app/installations|GET /installation/repositories"
    r"|GET /repos/[^/]+/[^/]+/actions/runs(/.*)?"
)
"""What is asked by the clock, or for a delivery, and not for a job: see docs/github.md."""


@dataclass(frozen=True, slots=True)
class GitHub:
    url: str
    here: str
    """This machine's address, as the simulated GitHub sees it."""
    key: Path
    http: httpx.Client

    @property
    def settings(self) -> Mapping[str, str]:
        """What a service must be told to work with it."""
        return {
            "CHASER_HOST": "0.0.0.0",
            "CHASER_GITHUB__API_URL": self.url,
            "CHASER_GITHUB__APP_ID": "1",
            "CHASER_GITHUB__PRIVATE_KEY_FILE": str(self.key),
            "CHASER_GITHUB__WEBHOOK_SECRET": SECRET,
            "CHASER_PROFILES__DEFAULT__NETWORK": "internet",
            "CHASER_PROFILES__DEFAULT__RUNNER_IMAGE": "chaser-runner-simulated:latest",
        }

    def order(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Something of the control API: docs/simulator.md."""
        answer = self.http.post(f"/_sim/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def deliver_to(self, port: int) -> None:
        url = f"http://{self.here}:{port}/webhooks/github"
        self.order("settings", {"hook": {"url": url, "secret": SECRET}})

    def run(
        self, repository: str, *jobs: Mapping[str, object], origin: Mapping[str, object] | None = None
    ) -> list[int]:
        """The ids of the run's jobs, each of which has a name that no other has. `origin`: what started it, if not a push."""
        named = [{"name": f"build-{secrets.token_hex(4)}", **job} for job in jobs]
        run = {"repository": repository, "jobs": named, "origin": dict(origin or {})}
        return [job["id"] for job in self.order("runs", run)["jobs"]]

    def annotation(self, job_id: int) -> str:
        """What GitHub shows beside a job whose worker died."""
        return self.state["annotations"].get(str(job_id), "")

    def rerun(self, run_id: int, *, only_failed: bool = False) -> list[int]:
        """The ids of the new jobs."""
        act = "rerun-failed-jobs" if only_failed else "rerun"
        return [job["id"] for job in self.order(f"runs/{run_id}/{act}")["jobs"]]

    def cancel(self, job_id: int) -> None:
        """Whoever reads the state after this finds the service told of what ended at once."""
        self.order(f"runs/{self.job(job_id)['run_id']}/cancel")

    @property
    def calls(self) -> Sequence[str]:
        """Those to GitHub's API that jobs have cost."""
        return [call for call in self.state["calls"] if not _LOOKS.fullmatch(call.rpartition("|")[2])]

    @property
    def state(self) -> dict[str, Any]:
        return self.http.get("/_sim/state").json()

    @property
    def registrations(self) -> int:
        return self.tally["runners"]

    @property
    def tally(self) -> dict[str, Any]:
        """Of jobs by their status, and of runners, how many there are."""
        return self.http.get("/_sim/tally").json()

    def job(self, job_id: int) -> dict[str, Any]:
        return next(job for job in self.state["jobs"] if job["id"] == job_id)

    def log(self, job_id: int) -> str:
        """The job's log, as a person sees it at GitHub."""
        return self.http.get(f"/_logs/{job_id}").text

    def job_when(self, job_id: int, status: str) -> dict[str, Any]:
        return until(
            lambda: job if (job := self.job(job_id))["status"] == status else None, f"{job_id} to be {status}"
        )

    def ended(self, job_id: int) -> dict[str, Any]:
        return self.job_when(job_id, "completed")


@contextmanager
def fleet(place: Path, github: GitHub, settings: Mapping[str, str] | None = None) -> Generator[Service]:
    """A service that works with it, and gets its deliveries."""
    with installation(place, {**github.settings, **(settings or {})}) as service:
        github.deliver_to(service.port)
        yield service


@contextmanager
def github_elsewhere(place: Path, *words: str) -> Generator[GitHub]:
    """`words`: what the simulator's program is told besides."""
    word, last = secrets.token_hex(3), 2 * secrets.randbelow(100) + 32
    # 203.0.113.0/24 is TEST-NET-3: nobody's, and not among the ranges that sandboxes may not reach.
    here, there, namespace = f"203.0.113.{last}", f"203.0.113.{last + 1}", f"chaser-github-{word}"
    near, far, within = f"chg{word}a", f"chg{word}b", ("ip", "-n", namespace)
    run("ip", "netns", "add", namespace)
    try:
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", namespace)
        run("ip", "address", "add", here, "peer", there, "dev", near)
        run(*within, "address", "add", there, "peer", here, "dev", far)
        run("ip", "link", "set", near, "up")
        run(*within, "link", "set", far, "up")
        with (
            _program(namespace, there, place / "app.pem", *words) as url,
            httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
        ):
            yield GitHub(url, here, place / "app.pem", http)
    finally:
        # The pair of interfaces goes with the namespace.
        run("ip", "netns", "delete", namespace)


@contextmanager
def _program(namespace: str, address: str, key: Path, *words: str) -> Generator[str]:
    url = f"http://{address}:{PORT}"
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "chaser.simulator", "serve"]
    options = ["--host", address, "--port", str(PORT), "--key", str(key), "--far-side", url]
    with subprocess.Popen([*command, *options, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert url in process.stdout.readline()
            yield url
        finally:
            process.terminate()


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
