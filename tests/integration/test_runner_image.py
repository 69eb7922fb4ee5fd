"""The image of the simulated runner, run by a real Docker engine as the real runner's would be."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chaser.simulator import jit
from chaser.simulator.app import github
from chaser.simulator.payload import Job
from chaser.simulator.serving import serving
from chaser.simulator.world import Runner, World
from tests.simulated import new_world

pytestmark = pytest.mark.docker

BUILD = Path(__file__).parents[2] / "images" / "runner-simulated" / "build"
IMAGE = "chaser-runner-simulated:latest"
RUNNER = Runner(7, "repos/octocat/example", "chaser-test-1", ("chaser",))
JIT = "ACTIONS_RUNNER_INPUT_JITCONFIG"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    subprocess.run([BUILD], check=True, capture_output=True)


async def run(
    blob: str | None, *, network: str = "none", command: str = "exec /home/runner/run.sh"
) -> tuple[int, str]:
    """Exit status and output of a container as `standard` isolation makes it; the configuration is in no argument."""
    process = await asyncio.create_subprocess_exec(
        *("docker", "run", "--rm", "--init", "--network", network, "--label", "chaser.test=run"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "256"),
        *(() if blob is None else ("--env", JIT)),
        *(IMAGE, "/bin/sh", "-c", command),
        env={**os.environ, JIT: blob or ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_it_says_what_the_real_one_says_and_ends_well() -> None:
    status, output = await run(jit.encode(RUNNER, "https://github.com", None))
    assert status == 0, output
    said = [
        "√ Connected to GitHub",
        "Current runner version: '",
        ": Listening for Jobs",
        ": Running job: simulated",
        "Hello from chaser-test-1",
        ": Job simulated completed with result: Succeeded",
    ]
    places = [output.find(line) for line in said]
    assert -1 not in places
    assert places == sorted(places)


async def test_it_writes_the_files_that_the_real_one_writes_for_its_user_alone() -> None:
    command = "/home/runner/run.sh >/dev/null; id -u; cd /home/runner; stat -c '%n %a' .runner .credentials*; cat .runner"
    status, output = await run(jit.encode(RUNNER, "https://github.com", None), command=command)
    assert status == 0
    user, *files, settings = output.splitlines()
    assert user == "1001"
    assert files == [".runner 600", ".credentials 600", ".credentials_rsaparams 600"]
    assert json.loads(settings)["AgentName"] == "chaser-test-1"


async def test_the_configuration_is_out_of_the_environment_of_what_it_runs() -> None:
    text = (BUILD.parent / "run.sh").read_text()
    assert text.index("unset ACTIONS_RUNNER_INPUT_JITCONFIG") < text.index("sh -c")
    script = "cp /home/runner/run.sh /tmp/run.sh && sed -i 's/echo \"Hello/env; echo \"Hello/' /tmp/run.sh && exec sh /tmp/run.sh"
    status, output = await run(jit.encode(RUNNER, "https://github.com", None), command=script)
    assert (status, "RUNNER_NAME=chaser-test-1" in output) == (0, True)
    assert JIT not in output


def without(name: str) -> str:
    files = json.loads(base64.b64decode(jit.encode(RUNNER, "https://github.com", None)))
    del files[name]
    return base64.b64encode(json.dumps(files).encode()).decode()


@pytest.mark.parametrize(
    ("blob", "complaint"),
    [
        (None, "is empty"),
        ("", "is empty"),
        ("%%%", "not base64"),
        ("AAA", "not base64"),
        ("bm90IEpTT04=", "has no .runner"),
        (base64.b64encode(b"{}").decode(), "has no .runner"),
        (without(".credentials"), "has no .credentials"),
        (without(".credentials_rsaparams"), "has no .credentials_rsaparams"),
    ],
    ids=range(8),
)
async def test_without_a_whole_configuration_it_fails_and_says_why(blob: str | None, complaint: str) -> None:
    status, output = await run(blob)
    assert status == 1
    assert complaint in output
    assert "Listening" not in output


@pytest.fixture
async def reachable() -> AsyncGenerator[tuple[World, str]]:
    world = new_world()
    async with serving(github(world)) as url:
        yield world, url


async def test_where_it_can_reach_the_simulator_it_takes_the_job_that_waits(
    reachable: tuple[World, str],
) -> None:
    world, url = reachable
    runner = world.register("repos/octocat/example", "chaser-test-1", ("chaser",))
    assert runner is not None
    world.wait(Job(("chaser",), name="build").waiting())
    status, output = await run(jit.encode(runner, "https://github.com", url), network="host")
    assert status == 0, output
    assert "Running job: build" in output
    assert "Job build completed with result: Succeeded" in output
    assert (world.runners, world.waiting) == ({}, {})
    assert [call.line.rpartition("/")[2] for call in world.calls] == ["online", "job", "complete"]


async def test_a_runner_that_the_simulator_does_not_know_fails(reachable: tuple[World, str]) -> None:
    _, url = reachable
    status, output = await run(jit.encode(RUNNER, "https://github.com", url), network="host")
    assert (status, "knows no such runner" in output) == (1, True)


def test_building_it_again_changes_nothing() -> None:
    def image_id() -> bytes:
        return subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", IMAGE], check=True, capture_output=True
        ).stdout

    before = image_id()
    subprocess.run([BUILD], check=True, capture_output=True)
    assert image_id() == before
