"""Registering runners with GitHub: declared here, by the fleet that needs it; `chaser.github.registrar` does it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chaser.ids import InstanceId, JobId
from chaser.jobs.row import integer, optional_text, text
from chaser.runners.policy import Level
from chaser.runners.rules import Run
from chaser.secret import Secret

_INSTANCE_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose job a runner is for. `repository` is `owner/name`."""

    installation_id: int
    repository: str
    organization: str | None
    level: Level = Level.ORGANIZATION
    """The widest that is allowed; where there is no organization, or the App may not, it is the repository."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A runner as GitHub lists it. `online` and `busy` may lag behind the truth by minutes."""

    runner_id: int
    name: str
    online: bool
    busy: bool


@dataclass(frozen=True, slots=True)
class Minted:
    """A new registration, offline until its runner connects, and the configuration that lets one runner be it, once."""

    runner_id: int
    name: str
    jit_config: Secret
    public: bool = False
    """Whether GitHub may give it jobs of public repositories, though it is an organization's."""


class Removal(StrEnum):
    REMOVED = "removed"
    BUSY = "busy"
    """GitHub keeps it: it is running a job."""
    ABSENT = "absent"


class Registrar(Protocol):
    """Each call raises `Refused(github_refused)` or `Unavailable(github_unavailable)` with what a person can do."""

    async def mint(self, owner: Owner, name: str, labels: Sequence[str]) -> Minted:
        """Register a runner and get its just-in-time configuration. Never repeated by itself when the answer is lost.

        A registration of that name that is offline is what an earlier call left behind, and is replaced.
        """
        ...

    async def find(self, owner: Owner, name: str) -> Registration | None: ...

    async def place(self, owner: Owner) -> str:
        """Where this owner's runners are registered: the same word for all owners whose runners are listed together."""
        ...

    async def list(self, owner: Owner, prefix: str) -> Sequence[Registration]:
        """All runners beside which this owner's would be registered whose names begin so."""
        ...

    async def remove(self, owner: Owner, runner_id: int) -> Removal: ...


@dataclass(frozen=True, slots=True)
class WorkflowJob:
    """A workflow job as GitHub has it now. `status` is an open list: `queued`, `in_progress`, `completed`, `waiting`, …"""

    status: str
    conclusion: str | None
    runner_id: int | None
    runner_name: str | None


class WorkflowJobs(Protocol):
    """Raises as `Registrar` does."""

    async def get(self, owner: Owner, workflow_job_id: int) -> WorkflowJob | None:
        """The job; none if GitHub shows none, because it was deleted or the App may not see it."""
        ...


class WorkflowRuns(Protocol):
    """Raises as `Registrar` does."""

    async def get(self, owner: Owner, run_id: int, attempt: int, *, association: bool) -> Run | None:
        """The run; none if GitHub shows none. `association`: ask also for the pull request's author, one call more."""
        ...


def owner_in(asked: Mapping[str, object]) -> Owner:
    """Whose job a runner is for, from the input of its job."""
    return Owner(
        installation_id=integer(asked, "installation_id"),
        repository=text(asked, "repository"),
        organization=optional_text(asked, "organization"),
        level=Level(optional_text(asked, "level") or Level.ORGANIZATION),
    )


def name_prefix(instance: InstanceId) -> str:
    """What the names of all runners of this installation of Chaser begin with."""
    return f"chaser-{instance.rpartition('_')[2][-_INSTANCE_LENGTH:]}-"


def runner_name(instance: InstanceId, job: JobId, attempt: int) -> str:
    """The name of this attempt's runner, at most 64 characters (GitHub's limit).

    It can be computed again after a crash, so nothing needs storing; the job's id carries 80 random bits.
    """
    return f"{name_prefix(instance)}{job.removeprefix('job_')}-{attempt}"


def job_of(prefix: str, name: str | None) -> JobId | None:
    """The job whose runner has this name; none: `prefix` is `name_prefix`'s, and this runner is not ours."""
    found = attempt_of(prefix, name)
    return None if found is None else found[0]


def attempt_of(prefix: str, name: str | None) -> tuple[JobId, int] | None:
    """The job whose runner has this name, and which attempt at it."""
    found = re.fullmatch(rf"{re.escape(prefix)}([0-9a-z]{{1,32}})-([0-9]{{1,9}})", name or "")
    return None if found is None else (JobId(f"job_{found[1]}"), int(found[2]))
