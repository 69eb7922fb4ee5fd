"""From GitHub's delivery to a sandbox that holds its runner's configuration, in one that is made then and in one that is
ready, beside what is the least of it: the start of a sandbox of the same image, and the simulated GitHub's own time to make a
configuration. In turn, in one run."""

import hashlib
import hmac
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jwt

from bench.bare import SECRET
from bench.report import say, timed
from bench.service import Service, running
from chaser.simulator.payload import Job, workflow_job

ROUNDS = 30
WARM_UP = 3
IMAGE = "chaser-bench-runner:latest"
RUN = "/home/runner/run.sh"
DOCKERFILE = rf"""
FROM chaser-runner-simulated:latest
USER root
RUN printf '#!/bin/bash\necho "$EPOCHREALTIME ${{#ACTIONS_RUNNER_INPUT_JITCONFIG}}"\n' >{RUN}
USER runner
"""
"""Its runner says when it began, and how long its configuration is, and ends."""


def measure() -> None:
    built = ["docker", "build", "--quiet", "--tag", IMAGE, "-"]
    subprocess.run(built, input=DOCKERFILE.encode(), check=True, capture_output=True)
    try:
        with tempfile.TemporaryDirectory(prefix="chaser-bench-") as folder, _github(Path(folder)) as port:
            key = Path(folder, "app.pem")
            settings = {
                "CHASER_GITHUB__API_URL": f"http://127.0.0.1:{port}",
                "CHASER_GITHUB__APP_ID": "1",
                "CHASER_GITHUB__PRIVATE_KEY_FILE": str(key),
                "CHASER_GITHUB__WEBHOOK_SECRET": SECRET,
                "CHASER_PROFILES__DEFAULT__IMAGE": IMAGE,
                "CHASER_PROFILES__DEFAULT__RUNNER_IMAGE": IMAGE,
                "CHASER_PROFILES__DEFAULT__ISOLATION": "sudo",
                "CHASER_PROFILES__DEFAULT__NETWORK": "none",
                "CHASER_PROFILES__WARM__RUNNER_MIN_WARM": "1",
            }
            with running(**settings) as service:
                _measure(service, _Mint(port, key.read_text()))
    finally:
        subprocess.run(["docker", "image", "rm", IMAGE], check=False, stdout=subprocess.DEVNULL)


def _measure(service: Service, mint: "_Mint") -> None:
    rounds = [
        (_cold(service), timed(mint.call), _delivered(service, "chaser"), _delivered_warm(service))
        for _ in range(WARM_UP + ROUNDS)
    ]
    columns = zip(*rounds[WARM_UP:], strict=True)
    cold, minted, held, warm = (statistics.median(each) * 1000 for each in columns)
    say(
        "delivery to configuration, median",
        f"{held:.0f} ms against {cold:.0f} + {minted:.1f} ms",
        f"{held - cold - minted:+.0f} ms, at most +30",
    )
    say("  in a sandbox that is ready", f"{warm:.0f} ms against {held:.0f} ms", f"ratio {warm / held:.2f}")


def _cold(service: Service) -> float:
    """From the request for a command to the command's first act."""
    begun = time.time()
    answer = service.exec(f"exec {RUN}", image=IMAGE, ephemeral=True)
    return float(answer["output"].split()[0]) - begun


def _delivered_warm(service: Service) -> float:
    service.await_warm()
    return _delivered(service, "chaser-warm")


def _delivered(service: Service, label: str) -> float:
    """From the delivery to the runner's first act."""
    job = Job((label,))
    begun = time.time()
    _deliver(service, workflow_job("queued", job))
    runner = service.call("GET", f"/v1/github/jobs/{job.id}")["job_id"]
    ended = service.call("GET", f"/v1/jobs/{runner}?wait_ms=60000")
    moment, length = _first_words(service, runner)
    if int(length) == 0:
        raise RuntimeError("the runner was given no configuration")
    name = ended["result"]["runner_name"]
    _deliver(service, workflow_job("completed", replace(job, status="completed", runner_name=name)))
    return float(moment) - begun


def _deliver(service: Service, payload: Mapping[str, object]) -> None:
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "workflow_job",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}",
    }
    _answered(service.port, "POST", "/webhooks/github", headers, body)


def _first_words(service: Service, job: str) -> list[str]:
    headers = {"Authorization": f"Bearer {service.key}"}
    return _answered(service.port, "GET", f"/v1/jobs/{job}/logs", headers).decode().split()


class _Mint:
    """What the service asks of GitHub for each runner, over a connection that is kept as the service keeps its own."""

    def __init__(self, port: int, key: str) -> None:
        now = int(time.time())
        app = jwt.encode({"iat": now - 60, "exp": now + 500, "iss": "1"}, key, algorithm="RS256")
        headers = {"Authorization": f"Bearer {app}"}
        answer = _answered(port, "POST", "/app/installations/1/access_tokens", headers, b"{}")
        self._headers = {"Authorization": f"token {json.loads(answer)['token']}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def call(self) -> None:
        asked = {"name": uuid.uuid4().hex, "runner_group_id": 1, "labels": ["chaser"]}
        path = "/repos/octocat/example/actions/runners/generate-jitconfig"
        self._connection.request("POST", path, json.dumps(asked), self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 201:
            raise RuntimeError(answer.decode())


def _answered(
    port: int, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status >= 300:
        raise RuntimeError(answer.decode())
    return answer


@contextmanager
def _github(folder: Path) -> Generator[int]:
    """Yields the port of a simulated GitHub, whose App's private key is in the folder."""
    words = ["serve", "--port", "0", "--account", "octocat", "--key", str(folder / "app.pem")]
    command = [sys.executable, "-m", "chaser.simulator", *words]
    with subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
            yield int(url.rpartition(":")[2])
        finally:
            process.terminate()
