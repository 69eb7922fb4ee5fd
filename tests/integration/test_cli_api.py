"""The program and the API, one against the other: what the one sends, the other takes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chaser.cli import document
from chaser.clock import SystemClock
from chaser.jobs.job import Status
from chaser.jobs.ports import Claim
from chaser.jobs.reason import Reason
from chaser.runners.budget import Left, Spending
from chaser.runners.policy import Policy
from chaser.runners.rules import Run
from chaser.sandboxes.files import Artifact
from tests.api_service import Service, played, service
from tests.rows import START
from tests.workflow_jobs import OURS, tell, told

Json = dict[str, object]


@dataclass(frozen=True)
class Said:
    status: int
    out: bytes
    err: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.out)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as made:
        yield made


async def chaser(
    api: Service, folder: Path, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Said:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaser", *words),
        env={**os.environ, "CHASER_API_URL": api.url, "CHASER_API_KEY": api.key, **(env or {})},
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Said(process.returncode, out, err)


async def leave(api: Service, claim: Claim, content: bytes) -> None:
    """As an attempt does that has made the file dist/a."""
    folder = await api.api.artifacts.folder(claim.job.id)
    (folder / "one").write_bytes(content)
    await api.api.artifacts.replace(claim.job.id, [Artifact("dist/a", len(content), 0o755, "one")])


async def test_a_job_with_everything_is_taken_followed_and_ended(api: Service, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "file").write_text("x")

    async def work() -> None:
        claim = await api.hands.start()
        for piece in (b"one\n", "zwö".encode()[:-1], "zwö\n".encode()[-2:], b"three\n"):
            await api.hands.print(claim, piece)
        await leave(api, claim, b"made")
        await api.hands.end(claim, status=Status.FAILED, reason=Reason.NONZERO_EXIT, exit_code=3)

    options = (
        "--workspace w --workspace-mode copy --profile default --env A=b --secret TOKEN --timeout 15m --out dist/** --wait "
        "--in . --in-path code --priority 7 --concurrency-key deploy --queue-timeout 2m --retry-on host_lost --retry 2 "
        "--cwd /tmp --user 1000 --cpus 1 --memory 64m --pids 99 --pull never --json"
    )
    async with played(work):
        said = await chaser(
            api, here, "jobs", "exec", *options.split(), "make", env={"TOKEN": "hunter2hunter2"}
        )
    assert said.status == 3, said.err
    assert "one\nzwö\nthree\n".encode() in said.err
    assert (said.json["status"], said.json["exit_code"]) == ("failed", 3)
    assert (here / "dist" / "a").read_bytes() == b"made"


def step(name: str) -> Json:
    at = "2030-01-01T00:00:00Z"
    return {
        "name": name,
        "status": "succeeded",
        "reason": None,
        "exit_code": 0,
        "started_at": at,
        "finished_at": at,
        "duration_ms": 1,
    }


async def test_a_pipeline_is_taken_and_its_steps_are_told(api: Service, tmp_path: Path) -> None:
    async def work() -> None:
        claim = await api.hands.start()
        await api.hands.print(claim, b"a\n")
        await api.hands.print(claim, b"b\n", step=1)
        steps = [step("one"), step("step 2")]
        await api.hands.end(claim, more={"steps": steps})

    pipeline = b"workspace: w\nenv: {A: 1}\nsteps: [{name: one, command: a}, {command: b, timeout_ms: 1000}]"
    async with played(work):
        said = await chaser(api, tmp_path, "jobs", "run", "-", "--wait", stdin=pipeline)
    assert said.status == 0, said.err
    assert b"step 1 of 2: one\na\nchaser: step 2 of 2: step 2\nb\n" in said.err


async def test_a_refused_pipeline_is_told_by_its_lines(api: Service, tmp_path: Path) -> None:
    pipeline = b"workspace: w\nsteps:\n  - command: a\n    tiemout_ms: 5\n"
    said = await chaser(api, tmp_path, "jobs", "run", "-", stdin=pipeline)
    assert said.status == 126
    assert b"stdin:4: /steps/0/tiemout_ms" in said.err


async def test_a_detached_job_is_read_cancelled_and_retried(api: Service, tmp_path: Path) -> None:
    words = ("jobs", "exec", "--json", "--workspace", "w", "--run-at", "2026-12-01T00:00:00+01:00", "true")
    job = str((await chaser(api, tmp_path, *words)).json["id"])
    assert (await chaser(api, tmp_path, "jobs", "cancel", job, "--json")).json["status"] == "cancelled"
    assert (await chaser(api, tmp_path, "jobs", "get", job, "--wait")).status == 130
    assert (await chaser(api, tmp_path, "jobs", "retry", job, "--json")).json["retry_of"] == job
    listed = await chaser(api, tmp_path, "jobs", "list", "--workspace", "w", "--json")
    assert isinstance(listed.json["data"], list)
    assert b"pipeline.run" in (await chaser(api, tmp_path, "jobs", "kinds")).out


async def test_the_same_key_finds_the_same_job(api: Service, tmp_path: Path) -> None:
    words = ("jobs", "exec", "--json", "--idempotency-key", "k")
    one, two, other = [
        (await chaser(api, tmp_path, *words, command)).json for command in ("true", "true", "false")
    ]
    assert one["id"] == two["id"]
    assert "idempotency_conflict" in json.dumps(other)


async def test_a_held_job_is_approved(api: Service, tmp_path: Path) -> None:
    fork = Run("pull_request", "stranger/example", "stranger", "stranger", ".github/workflows/ci.yml", "x")
    await api.store.screenings.keep(7, 1, fork, START)
    await tell(api.store, told(private=False), ours=replace(OURS, policy=Policy(("*/*",))))
    await api.look()

    why = await chaser(api, tmp_path, "github", "why", "77")
    approved = await chaser(api, tmp_path, "github", "approve", "77", "--json")
    again = await chaser(api, tmp_path, "github", "approve", "77")

    assert b"held: " in why.out
    assert b"chaser github approve 77" in why.out
    assert (approved.status, approved.json["state"], approved.json["clearance"]) == (0, "planned", "approved")
    assert (again.status != 0, b"nothing to approve" in again.err) == (True, True)


async def test_the_status_has_what_calls_to_github_came_to(tmp_path: Path) -> None:
    left = {"core": Left(5000, 4990, SystemClock().now())}
    spent = Spending(5, {"mint": 4, "truth": 0, "delete": 4, "sweep": 2}, 4, 0, 1, left)
    own = {"CHASER_DATA_DIR": str(tmp_path / "own"), "CHASER_DOCKER_HOST": "unix:///nowhere/docker.sock"}
    async with service(tmp_path, spendings=[spent]) as api:
        read = await chaser(api, tmp_path, "github", "status", "--json", env=own)
        shown = await chaser(api, tmp_path, "github", "status", env=own)

    (told,) = document.items(read.json["budget"])
    assert document.table(told)["calls_per_job"] == 2.5
    row = next(line for line in shown.out.decode().splitlines() if "core 4990 of 5000" in line)
    assert row.split()[:5] == ["5", "10", "2.5", "1", "0"]
