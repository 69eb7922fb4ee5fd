"""A job's row read as the sandbox that it needs: what all kinds share that `sandbox_request` has admitted."""

from collections.abc import Mapping
from datetime import timedelta

from chaser.ids import UploadId
from chaser.jobs.job import Job, Status
from chaser.jobs.kinds.sandbox_request import within_volume
from chaser.jobs.reason import Reason
from chaser.jobs.row import integer, mapping, mappings, number, optional_text, text, texts
from chaser.sandboxes.spec import (
    WORKSPACE_PATH,
    Files,
    InputFile,
    Isolation,
    Limits,
    Network,
    Profile,
    PullPolicy,
    SandboxSpec,
)

_CANCELS = frozenset({Reason.CANCELLED_BY_USER, Reason.CLIENT_GONE, Reason.CANCELLED_BY_GITHUB})


def spec_of(job: Job, profiles: Mapping[str, Profile]) -> SandboxSpec:
    """A profile that is gone is no obstacle: the row has all that was decided at admission."""
    row = job.input
    profile, limits = profiles.get(text(row, "profile")), mapping(row, "limits")
    return SandboxSpec(
        image=text(row, "image"),
        profile=text(row, "profile"),
        isolation=Isolation(text(row, "isolation")),
        network=Network(text(row, "network")),
        limits=Limits(
            cpus=number(limits, "cpus"),
            memory_bytes=integer(limits, "memory"),
            pids=integer(limits, "pids"),
            disk_bytes=None if limits.get("disk") is None else integer(limits, "disk"),
            nofile=profile.limits.nofile if profile else Limits.nofile,
            shm_bytes=profile.limits.shm_bytes if profile else Limits.shm_bytes,
        ),
        user=optional_text(row, "user"),
        runtime=profile.runtime if profile else None,
        pull=PullPolicy(optional_text(row, "pull") or PullPolicy.MISSING),
        registries=profile.registries if profile else frozenset(),
        workspace=job.workspace,
        scratch=_has_scratch(job),
    )


def files_of(job: Job, cwd: str | None) -> Files | None:
    """Relative paths are below `cwd`, where that can hold files, else below the volume, else below the image's WORKDIR."""
    inputs = [InputFile(UploadId(text(each, "upload")), text(each, "path")) for each in _inputs(job)]
    artifacts = _artifacts(job)
    if not inputs and not artifacts:
        return None
    volume = WORKSPACE_PATH if job.workspace is not None or _has_scratch(job) else None
    strict = Isolation(text(job.input, "isolation")) is Isolation.STRICT
    base = volume if cwd is None or (strict and not within_volume(cwd)) else cwd
    return Files(base=base, inputs=tuple(inputs), artifacts=tuple(artifacts))


def timeout_of(job: Job) -> timedelta:
    return timedelta(milliseconds=integer(job.input, "timeout_ms"))


def stopped_status(reason: Reason) -> Status:
    """The state of a job that Chaser itself has ended."""
    return Status.CANCELLED if reason in _CANCELS else Status.FAILED


def oom_message(job: Job, kills: int) -> str:
    limit = integer(mapping(job.input, "limits"), "memory")
    return f"The kernel killed {kills} of its processes at the memory limit of {limit} bytes; raise limits.memory."


def _has_scratch(job: Job) -> bool:
    strict = Isolation(text(job.input, "isolation")) is Isolation.STRICT
    return strict and job.workspace is None and bool(_inputs(job) or _artifacts(job))


# Rows of earlier versions have neither.


def _inputs(job: Job) -> list[Mapping[str, object]]:
    return mappings(job.input, "inputs") if "inputs" in job.input else []


def _artifacts(job: Job) -> list[str]:
    return list(texts(job.input, "artifacts")) if "artifacts" in job.input else []
