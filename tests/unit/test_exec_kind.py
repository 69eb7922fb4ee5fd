"""One command in a sandbox: held against its profile, kept apart from its secrets, and its end read."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chaser.errors import Rejected
from chaser.ids import UploadId, WorkspaceId
from chaser.jobs.job import Job, Secrets, Status
from chaser.jobs.kind import Admitted, WorkspaceAsk
from chaser.jobs.kinds.exec import Exec, ExecRequest
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished
from chaser.sandboxes.spec import (
    Files,
    InputFile,
    Network,
    PullPolicy,
    Streams,
    WorkspaceMode,
    WorkspaceUse,
)
from tests.kinds import BOUNDS, IMAGE, PROFILE, PROFILES, row_of

EXEC = Exec(PROFILES)
WORKSPACE = WorkspaceUse(WorkspaceId("wsp_1"), WorkspaceMode.EXCLUSIVE)


def admit(**fields: object) -> Admitted:
    return EXEC.admit(ExecRequest.model_validate({"command": "true", **fields}, strict=False), BOUNDS)


def job_of(workspace: WorkspaceUse | None = None, /, **fields: object) -> Job:
    return row_of("sandbox.exec", admit(**fields), workspace)


def faults(**fields: object) -> list[str]:
    with pytest.raises(Rejected) as rejected:
        admit(**fields)
    assert (rejected.value.status, rejected.value.code) == (422, "invalid_request")
    return [fault.pointer for fault in rejected.value.fields]


def test_what_is_not_said_is_the_profiles() -> None:
    job = job_of()
    spec = EXEC.spec(job)

    assert (spec.image, spec.isolation, spec.network) == (PROFILE.image, PROFILE.isolation, PROFILE.network)
    assert (spec.limits, spec.runtime, spec.pull) == (PROFILE.limits, "crun", PullPolicy.MISSING)
    assert (spec.workspace, spec.scratch, EXEC.files(job)) == (None, False, None)
    assert job.input["timeout_ms"] == 600_000


def test_a_request_that_says_nothing_has_the_sandbox_that_is_kept_ready_for_its_profile() -> None:
    assert EXEC.spec(job_of()) == PROFILE.usual


async def test_what_is_said_reaches_the_sandbox() -> None:
    job = job_of(
        image="node:22",
        timeout_ms=1500,
        cwd="/app",
        user="node",
        env={"A": "1"},
        secrets={"TOKEN": "hunter22"},
        stdin="in",
        network="none",
        isolation="standard",
        limits={"cpus": 2, "memory": 2000, "pids": 20, "disk": 100},
        streams="split",
        pull="always",
    )

    spec, launch = EXEC.spec(job), await EXEC.launch(job, IMAGE)

    assert (spec.image, spec.user, spec.network) == ("node:22", "node", Network.NONE)
    assert (spec.limits, spec.pull) == (replace(PROFILE.maxima, nofile=7, shm_bytes=8), PullPolicy.ALWAYS)
    (step,) = launch.steps
    assert (step.command, step.cwd, step.stdin) == ("true", "/app", "in")
    assert step.env == {"A": "1", "TOKEN": "hunter22"}
    assert launch.masked == {"TOKEN": "hunter22"}
    assert (launch.timeout, launch.streams) == (timedelta(seconds=1.5), Streams.SPLIT)


def test_nothing_secret_is_in_what_may_be_shown() -> None:
    admitted = admit(env={"A": "in-clear"}, secrets={"TOKEN": "hunter22"}, stdin="private")

    assert admitted.input["env"] == {"A": "***"}
    assert admitted.input["secrets"] == {"TOKEN": "***"}
    assert not any(word in repr(admitted) for word in ("in-clear", "hunter22", "private"))
    assert admitted.secrets == Secrets({"A": "in-clear"}, {"TOKEN": "hunter22"}, "private")


def test_a_stricter_sandbox_may_be_asked_for() -> None:
    admit(isolation="strict", network="none")


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({"profile": "unknown"}, ["/profile"]),
        ({"isolation": "sudo"}, ["/isolation"]),
        ({"profile": "tight", "isolation": "standard"}, ["/isolation"]),
        ({"profile": "tight", "network": "internet"}, ["/network"]),
        ({"isolation": "strict", "user": "root"}, ["/user"]),
        ({"profile": "tight", "user": "root"}, ["/user"]),
        ({"limits": {"cpus": 2.1}}, ["/limits/cpus"]),
        ({"limits": {"memory": 2001, "pids": 21, "disk": 101}}, ["/limits/memory", "/limits/pids", "/limits/disk"]),
        ({"isolation": "sudo", "limits": {"pids": 21}}, ["/isolation", "/limits/pids"]),
        ({"ephemeral": True, "workspace": "w"}, ["/workspace"]),
        ({"image": "debian:12", "workspace": "w"}, ["/image"]),
        ({"workspace_mode": "copy"}, ["/workspace_mode"]),
        ({"isolation": "strict", "artifacts": ["/etc/*", "ok", "/workspace/ok"]}, ["/artifacts/0"]),
        ({"profile": "tight", "inputs": [{"upload": "u", "path": "/workspaces"}]}, ["/inputs/0/path"]),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_every_fault(fields: dict[str, Any], pointers: list[str]) -> None:
    assert faults(**fields) == pointers


@pytest.mark.parametrize("fields", [{"keep_on_failure": True}, {"network": "allowlist"}])
def test_what_is_not_served_is_said(fields: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as rejected:
        admit(**fields)
    assert rejected.value.code == "not_supported"
    assert rejected.value.details["not_supported"] == [f"/{name}" for name in fields]


@pytest.mark.parametrize("fields", [{"inputs": []}, {"artifacts": []}, {"keep_on_failure": False}])
def test_what_asks_for_nothing_new_is_served(fields: dict[str, Any]) -> None:
    assert EXEC.files(job_of(**fields)) is None


async def test_a_workspace_is_where_the_command_runs() -> None:
    admitted = admit(workspace="mine")
    assert admitted.workspace == WorkspaceAsk("mine", WorkspaceMode.EXCLUSIVE)
    job = row_of("sandbox.exec", admitted, WORKSPACE)

    assert EXEC.spec(job).workspace == WORKSPACE
    assert (await EXEC.launch(job, IMAGE)).steps[0].cwd == "/workspace"


async def test_a_workspace_may_be_copied_and_the_command_run_elsewhere() -> None:
    admitted = admit(workspace="mine", workspace_mode="copy", cwd="/tmp")
    assert admitted.workspace == WorkspaceAsk("mine", WorkspaceMode.COPY)
    assert (await EXEC.launch(row_of("sandbox.exec", admitted, WORKSPACE), IMAGE)).steps[0].cwd == "/tmp"


FILES: dict[str, Any] = {"inputs": [{"upload": "upl_1", "path": "in"}], "artifacts": ["out/**"]}


@pytest.mark.parametrize(
    ("fields", "workspace", "base", "scratch"),
    [
        ({}, None, None, False),
        ({"cwd": "/src"}, None, "/src", False),
        ({"workspace": "w"}, WORKSPACE, "/workspace", False),
        ({"workspace": "w", "cwd": "/workspace/sub"}, WORKSPACE, "/workspace/sub", False),
        ({"profile": "tight"}, None, "/workspace", True),
        ({"profile": "tight", "cwd": "/tmp"}, None, "/workspace", True),
        ({"profile": "tight", "cwd": "/workspace/sub"}, None, "/workspace/sub", True),
        ({"profile": "tight", "workspace": "w"}, WORKSPACE, "/workspace", False),
    ],
)
def test_files_lie_where_the_command_finds_them(
    fields: dict[str, Any], workspace: WorkspaceUse | None, base: str | None, scratch: bool
) -> None:
    """In strict isolation nothing but a volume can hold any, so there is one."""
    job = job_of(workspace, **FILES, **fields)
    assert EXEC.files(job) == Files(base, (InputFile(UploadId("upl_1"), "in"),), ("out/**",))
    assert EXEC.spec(job).scratch is scratch


def test_uploads_are_named_by_their_place() -> None:
    assert admit(**FILES).uploads == {"/inputs/0/upload": "upl_1"}


def test_a_job_outlives_its_profile() -> None:
    """It was admitted; what only the profile says falls back, and no registry's login is lent to it."""
    spec = Exec({}).spec(job_of())

    assert (spec.limits.memory_bytes, spec.registries, spec.runtime) == (1000, frozenset(), None)


def test_a_row_of_an_earlier_version_is_still_read() -> None:
    job = job_of()
    old = {
        name: value for name, value in job.input.items() if name not in {"inputs", "artifacts", "workspace"}
    }
    assert EXEC.files(replace(job, input=old)) is None
    assert EXEC.spec(replace(job, input=old)) == EXEC.spec(job)


@pytest.mark.parametrize(
    ("ending", "status", "reason", "exit_code"),
    [
        (Exited(0), Status.SUCCEEDED, None, 0),
        (Exited(0, oom_kills=1), Status.SUCCEEDED, None, 0),
        (Exited(3), Status.FAILED, Reason.NONZERO_EXIT, 3),
        (Exited(137, oom_kills=2), Status.FAILED, Reason.OUT_OF_MEMORY, 137),
        (Stopped(Reason.RUN_TIMEOUT, "m"), Status.FAILED, Reason.RUN_TIMEOUT, None),
        (Stopped(Reason.DISK_FULL, "m"), Status.FAILED, Reason.DISK_FULL, None),
        (Stopped(Reason.CANCELLED_BY_USER, "m"), Status.CANCELLED, Reason.CANCELLED_BY_USER, None),
        (Stopped(Reason.CLIENT_GONE, "m"), Status.CANCELLED, Reason.CLIENT_GONE, None),
        (Vanished("m"), Status.FAILED, Reason.HOST_LOST, None),
    ],
)
def test_each_end_has_its_status_and_reason(
    ending: Ending, status: Status, reason: Reason | None, exit_code: int | None
) -> None:
    verdict = EXEC.verdict(job_of(), ending)

    assert (verdict.status, verdict.reason, verdict.result) == (status, reason, {"exit_code": exit_code})
    assert (verdict.message is None) == (status is Status.SUCCEEDED)


async def test_nothing_is_made_outside_that_would_have_to_be_undone() -> None:
    await EXEC.settle(job_of())
