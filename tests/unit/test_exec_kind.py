"""One command in a sandbox: held against its profile, kept apart from its secrets, and its end read."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chaser.errors import Rejected
from chaser.jobs.job import Job, Secrets, Status
from chaser.jobs.kinds.exec import Exec, ExecAsk, LimitsAsk, admit
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished
from chaser.sandboxes.spec import Isolation, Limits, Network, PullPolicy, Streams
from tests.rows import START
from tests.works import PROFILE as PLAIN

PROFILE = replace(
    PLAIN,
    network=Network.INTERNET,
    runtime="crun",
    limits=Limits(cpus=1, memory_bytes=1000, pids=10, disk_bytes=50, nofile=7, shm_bytes=8),
    maxima=Limits(cpus=2, memory_bytes=2000, pids=20, disk_bytes=100),
)
PROFILES = {
    "default": PROFILE,
    "tight": replace(PROFILE, name="tight", isolation=Isolation.STRICT, network=Network.NONE),
}
ASK = ExecAsk("true", timedelta(seconds=1.5))


def faults(ask: ExecAsk) -> list[str]:
    with pytest.raises(Rejected) as rejected:
        admit(ask, PROFILES)
    assert (rejected.value.status, rejected.value.code) == (422, "invalid_request")
    return [fault.pointer for fault in rejected.value.fields]


def job_of(ask: ExecAsk) -> Job:
    admitted = admit(ask, PROFILES)
    return Job(
        id=None,  # pyright: ignore[reportArgumentType]
        kind="sandbox.exec",
        status=Status.STARTING,
        reason=None,
        message=None,
        input=admitted.input,
        secrets=admitted.secrets,
        result=None,
        attempt=1,
        max_attempts=3,
        priority=0,
        key_id=None,
        idempotency_key=None,
        origin=None,
        sandbox_id=None,
        cancel_requested=None,
        created_at=START,
        run_at=START,
        queue_until=None,
        started_at=None,
        handed_over_at=None,
        finished_at=None,
    )


def test_what_is_not_said_is_the_profiles() -> None:
    spec = Exec(PROFILES).spec(job_of(ASK))

    assert (spec.image, spec.isolation, spec.network) == (PROFILE.image, PROFILE.isolation, PROFILE.network)
    assert (spec.limits, spec.runtime, spec.pull) == (PROFILE.limits, "crun", PullPolicy.MISSING)


async def test_what_is_said_reaches_the_sandbox() -> None:
    ask = replace(
        ASK,
        image="node:22",
        cwd="/app",
        user="node",
        env={"A": "1"},
        secrets={"TOKEN": "hunter22"},
        stdin="in",
        network=Network.NONE,
        isolation=Isolation.STANDARD,
        limits=LimitsAsk(cpus=2, memory_bytes=2000, pids=20, disk_bytes=100),
        streams=Streams.SPLIT,
    )
    job = job_of(ask)

    spec, launch = Exec(PROFILES).spec(job), await Exec(PROFILES).launch(job)

    assert (spec.image, spec.user, spec.network) == ("node:22", "node", Network.NONE)
    assert spec.limits == replace(PROFILE.maxima, nofile=7, shm_bytes=8)
    (step,) = launch.steps
    assert (step.command, step.cwd, step.stdin) == ("true", "/app", "in")
    assert step.env == {"A": "1", "TOKEN": "hunter22"}
    assert launch.masked == {"TOKEN": "hunter22"}
    assert (launch.timeout, launch.streams) == (timedelta(seconds=1.5), Streams.SPLIT)


def test_nothing_secret_is_in_what_may_be_shown() -> None:
    admitted = admit(
        replace(ASK, env={"A": "in-clear"}, secrets={"TOKEN": "hunter22"}, stdin="private"), PROFILES
    )

    assert admitted.input["env"] == {"A": "***"}
    assert admitted.input["secrets"] == {"TOKEN": "***"}
    assert not any(word in repr(admitted) for word in ("in-clear", "hunter22", "private"))
    assert admitted.secrets == Secrets({"A": "in-clear"}, {"TOKEN": "hunter22"}, "private")


def test_a_stricter_sandbox_may_be_asked_for() -> None:
    admit(replace(ASK, isolation=Isolation.STRICT, network=Network.NONE), PROFILES)


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"profile": "unknown"}, ["/profile"]),
        ({"isolation": Isolation.SUDO}, ["/isolation"]),
        ({"profile": "tight", "isolation": Isolation.STANDARD}, ["/isolation"]),
        ({"profile": "tight", "network": Network.INTERNET}, ["/network"]),
        ({"isolation": Isolation.STRICT, "user": "root"}, ["/user"]),
        ({"profile": "tight", "user": "root"}, ["/user"]),
        ({"limits": LimitsAsk(cpus=2.1)}, ["/limits/cpus"]),
        ({"limits": LimitsAsk(memory_bytes=2001, pids=21, disk_bytes=101)}, ["/limits/memory", "/limits/pids", "/limits/disk"]),
        ({"isolation": Isolation.SUDO, "limits": LimitsAsk(pids=21)}, ["/isolation", "/limits/pids"]),
    ],
)  # fmt: skip
def test_what_the_profile_does_not_allow_is_refused_with_every_fault(
    changes: dict[str, Any], pointers: list[str]
) -> None:
    assert faults(replace(ASK, **changes)) == pointers


def test_a_job_outlives_its_profile() -> None:
    """It was admitted; what only the profile says falls back, and no registry's login is lent to it."""
    spec = Exec({}).spec(job_of(ASK))

    assert (spec.limits.memory_bytes, spec.registries, spec.runtime) == (1000, frozenset(), None)


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
    verdict = Exec(PROFILES).verdict(job_of(ASK), ending)

    assert (verdict.status, verdict.reason, verdict.result) == (status, reason, {"exit_code": exit_code})
    assert (verdict.message is None) == (status is Status.SUCCEEDED)


async def test_nothing_is_made_outside_that_would_have_to_be_undone() -> None:
    await Exec(PROFILES).settle(job_of(ASK))
