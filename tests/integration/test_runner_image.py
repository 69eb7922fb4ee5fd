"""The image of the simulated runner, run by a real Docker engine as the real runner's would be."""

import asyncio
import base64
import json
import os
import shlex
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from chaser.simulator import jit
from chaser.simulator.origin import Origin
from chaser.simulator.payload import Job, Step
from chaser.simulator.workflows import Plan
from chaser.simulator.world import Runner
from tests.simulated import GitHubSide, simulated_github, until

pytestmark = pytest.mark.docker

BUILD = Path(__file__).parents[2] / "images" / "runner-simulated" / "build"
IMAGE = "chaser-runner-simulated:latest"
RUNNER = Runner(7, "repos/octocat/example", "chaser-test-1", ("chaser",))
VERSION = "2.335.0"
PATIENT = (
    Step("a", "trap 'echo interrupted; exit 130' INT; touch begun; while :; do sleep 0.1; done"),
    Step("b", "echo tidied up", always=True),
)
JIT = "ACTIONS_RUNNER_INPUT_JITCONFIG"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    subprocess.run([BUILD], check=True, capture_output=True)


async def run(
    blob: str | None,
    *,
    network: str = "none",
    command: str = "exec /home/runner/run.sh",
    name: str | None = None,
) -> tuple[int, str]:
    """Exit status and output of a container as `standard` isolation makes it; the configuration is in no argument."""
    process = await asyncio.create_subprocess_exec(
        *("docker", "run", "--rm", "--init", "--network", network, "--label", "chaser.test=run"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "256"),
        *(() if blob is None else ("--env", JIT)),
        *(() if name is None else ("--name", name)),
        *(IMAGE, "/bin/sh", "-c", command),
        env={**os.environ, JIT: blob or ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def terminate(name: str) -> None:
    process = await asyncio.create_subprocess_exec("docker", "kill", "--signal", "TERM", name)
    assert await process.wait() == 0


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


async def test_it_leaves_the_files_that_a_person_looks_at_when_something_is_wrong() -> None:
    command = "/home/runner/run.sh >/dev/null; cat /home/runner/_diag/Runner_*-utc.log /home/runner/_diag/Worker_*-utc.log"
    status, output = await run(jit.encode(RUNNER, "https://github.com", None), command=command)
    assert status == 0
    assert "INFO] Listening for Jobs" in output
    assert "INFO] step ended with 0" in output


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
async def test_without_a_whole_configuration_it_says_why_and_ends_with_0_as_the_real_one_does(
    blob: str | None, complaint: str
) -> None:
    status, output = await run(blob)
    assert status == 0
    assert complaint in output
    assert "exit with terminated error" in output
    assert "Listening" not in output


@pytest.fixture
async def reachable() -> AsyncGenerator[GitHubSide]:
    async with simulated_github() as side:
        yield side


@pytest.mark.parametrize(
    ("command", "conclusion", "steps"), [("exit 0", "success", ["success"]), ("exit 3", "failure", [None])]
)
async def test_without_a_network_it_runs_the_job_in_its_configuration_and_its_log_tells_the_rest(
    reachable: GitHubSide, command: str, conclusion: str, steps: list[str | None]
) -> None:
    plan = Plan(("chaser",), steps=(Step("a", f"echo this is it; {command}"),))
    (job,) = reachable.github.workflows.start("octocat/example", [plan])
    runner = reachable.world.register("repos/octocat/example", "chaser-test-1", ("chaser",))
    assert runner is not None
    likely = reachable.github.workflows.likely(runner)
    _, output = await run(jit.encode(runner, "https://github.com", None, likely))
    assert "this is it\n" in output
    assert reachable.world.jobs[job.id].status == "queued", "nobody has told"
    async with httpx.AsyncClient(base_url=reachable.url) as http:
        for line in output.splitlines():
            await http.post("/_sim/heard", json={"runner": runner.name, "line": line})
        strange = {"runner": "nobody", "line": "Listening for Jobs"}
        assert (await http.post("/_sim/heard", json=strange)).status_code == 404
    ended = reachable.world.jobs[job.id]
    assert (ended.status, ended.conclusion, ended.runner_name) == ("completed", conclusion, runner.name)
    assert [step.conclusion for step in ended.steps] == steps
    assert reachable.world.runners == {}


def far(side: GitHubSide, name: str = "chaser-test-1") -> str:
    """The configuration of a new runner that can reach the simulator."""
    runner = side.world.register("repos/octocat/example", name, ("chaser",))
    assert runner is not None
    return jit.encode(runner, "https://github.com", side.url)


def start(side: GitHubSide, *steps: Step) -> Job:
    (job,) = side.github.workflows.start("octocat/example", [Plan(("chaser",), "build", steps)])
    return job


def ended(side: GitHubSide, job: Job) -> tuple[str | None, list[str | None]]:
    found = side.world.jobs[job.id]
    return found.conclusion, [step.conclusion for step in found.steps]


async def test_where_it_can_reach_the_simulator_it_runs_the_job_that_waits(reachable: GitHubSide) -> None:
    job = start(
        reachable,
        Step("look", 'echo "$RUNNER_NAME in $GITHUB_WORKSPACE"; [[ -n $BASH_VERSION ]]'),
        Step("environment", "env"),
    )
    status, output = await run(far(reachable), network="host")
    assert status == 0, output
    assert "Running job: build" in output
    assert "chaser-test-1 in /home/runner/_work" in output
    assert "Job build completed with result: Succeeded" in output
    assert (JIT in output, "SimulatorToken" in output) == (False, False)
    assert ended(reachable, job) == ("success", ["success", "success"])
    assert reachable.world.runners == {}


async def test_after_a_failed_step_only_those_run_that_always_do(reachable: GitHubSide) -> None:
    job = start(
        reachable, Step("a", "false; true"), Step("b", "echo never"), Step("c", "echo always", always=True)
    )
    status, output = await run(far(reachable), network="host")
    assert (status, "never" in output, "always" in output) == (0, False, True), "0, whatever the job's end"
    assert "completed with result: Failed" in output
    assert ended(reachable, job) == ("failure", ["failure", "skipped", "success"])


def with_hook(script: str) -> str:
    """The command, with a job-started hook."""
    path = "/tmp/hook.sh"
    return f"printf %s {shlex.quote(script)} >{path}; ACTIONS_RUNNER_HOOK_JOB_STARTED={path} exec /home/runner/run.sh"


async def test_the_hook_is_run_before_the_first_step_and_knows_the_job(reachable: GitHubSide) -> None:
    (job,) = reachable.github.workflows.start(
        "octocat/example", [Plan(("chaser",))], Origin("pull_request", "stranger/example")
    )
    look = 'echo "hook: $GITHUB_REPOSITORY $GITHUB_RUN_ID $GITHUB_RUN_ATTEMPT $GITHUB_EVENT_NAME"'
    _, output = await run(far(reachable), network="host", command=with_hook(look))
    assert f"hook: octocat/example {job.run_id} 1 pull_request\n" in output
    assert output.find("hook: ") < output.find("Hello from")
    assert ended(reachable, job) == ("success", ["success"])


async def test_after_a_failed_hook_steps_that_always_run_still_do(reachable: GitHubSide) -> None:
    """https://github.com/actions/runner/issues/2811"""
    job = start(reachable, Step("a", "echo never"), Step("b", "echo always", always=True))
    _, output = await run(far(reachable), network="host", command=with_hook("exit 1"))
    assert ("never" in output, "always" in output) == (False, True)
    assert ended(reachable, job) == ("failure", ["skipped", "success"])


async def test_a_worker_that_is_killed_runs_no_step_and_its_last_words_are_shown(
    reachable: GitHubSide,
) -> None:
    job = start(reachable, Step("a", "echo never"), Step("b", "echo always", always=True))
    killing = 'echo "out of order" >/proc/$PPID/fd/2; kill -KILL $PPID; sleep 300'
    status, output = await run(far(reachable), network="host", command=with_hook(killing))
    assert (status, "never" in output, "always" in output) == (0, False, False)
    assert "completed with result: Failed" in output
    assert ended(reachable, job) == ("failure", [None, None])
    assert reachable.world.annotations == {job.id: "out of order\n"}


async def test_it_waits_until_a_job_comes(reachable: GitHubSide) -> None:
    running = asyncio.create_task(run(far(reachable), network="host"))
    await until(lambda: any(one.status == "online" for one in reachable.world.runners.values()))
    job = start(reachable, Step("a", "true"))
    assert (await running)[0] == 0
    assert ended(reachable, job) == ("success", ["success"])


async def test_a_cancel_interrupts_the_step_and_the_runner_ends_it_in_order(reachable: GitHubSide) -> None:
    job = start(reachable, *PATIENT)
    running = asyncio.create_task(run(far(reachable), network="host"))
    await until(lambda: reachable.world.jobs[job.id].status == "in_progress")
    await asyncio.sleep(0.5)
    reachable.github.workflows.cancel(job.run_id)
    status, output = await running
    assert (status, "interrupted" in output, "tidied up" in output) == (0, True, True), output
    assert "completed with result: Canceled" in output
    assert ended(reachable, job) == ("cancelled", ["cancelled", "success"])


async def test_sigterm_cancels_the_job_as_the_real_one_does(reachable: GitHubSide) -> None:
    job = start(reachable, *PATIENT)
    running = asyncio.create_task(run(far(reachable), network="host", name="chaser-test-sigterm"))
    await until(lambda: reachable.world.jobs[job.id].status == "in_progress")
    await asyncio.sleep(0.5)
    await terminate("chaser-test-sigterm")
    status, output = await running
    assert (status, "interrupted" in output, "tidied up" in output) == (0, True, True), output
    assert ended(reachable, job) == ("cancelled", ["cancelled", "success"])


async def test_sigterm_while_it_waits_takes_it_offline(reachable: GitHubSide) -> None:
    running = asyncio.create_task(run(far(reachable), network="host", name="chaser-test-sigterm"))
    await until(lambda: any(one.status == "online" for one in reachable.world.runners.values()))
    await terminate("chaser-test-sigterm")
    status, output = await running
    assert (status, "Exiting..." in output) == (0, True), output
    assert [one.status for one in reachable.world.runners.values()] == ["offline"]


async def test_a_runner_that_the_simulator_does_not_know_ends_with_0_too(reachable: GitHubSide) -> None:
    status, output = await run(jit.encode(RUNNER, "https://github.com", reachable.url), network="host")
    assert (status, "has been deleted from the server" in output) == (0, True)


async def test_a_runner_whose_registration_is_deleted_while_it_waits_ends(reachable: GitHubSide) -> None:
    running = asyncio.create_task(run(far(reachable), network="host"))
    await until(lambda: any(one.status == "online" for one in reachable.world.runners.values()))
    (runner,) = reachable.world.runners.values()
    reachable.github.workflows.remove(runner)
    status, output = await running
    assert (status, "has been deleted from the server" in output) == (0, True)


async def test_a_version_that_is_no_longer_served_ends_with_7_where_that_is_wanted(
    reachable: GitHubSide,
) -> None:
    reachable.world.deprecations[VERSION] = ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z")
    status, output = await run(far(reachable, "one"), network="host")
    assert (status, "is deprecated" in output) == (0, True)
    wanted = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1 exec /home/runner/run.sh"
    status, _ = await run(far(reachable, "two"), network="host", command=wanted)
    assert status == 7


def test_building_it_again_changes_nothing() -> None:
    def image_id() -> bytes:
        return subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", IMAGE], check=True, capture_output=True
        ).stdout

    before = image_id()
    subprocess.run([BUILD], check=True, capture_output=True)
    assert image_id() == before
