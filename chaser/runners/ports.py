"""What is known of GitHub's jobs and of the App's installations, to be read; `chaser.store` does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chaser.ids import JobId
from chaser.runners.demand import Demand, State
from chaser.runners.inbox import Delivery
from chaser.runners.installation import Installation


@dataclass(frozen=True, slots=True)
class DemandFilter:
    """The newest first; `before` is the id of the last one of the page before."""

    state: State | None = None
    repository: str | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Story:
    """A demand, with the deliveries that told of it, in the order in which they came. Old ones are forgotten."""

    demand: Demand
    deliveries: Sequence[Delivery]


class Demands(Protocol):
    async def list(self, which: DemandFilter) -> Sequence[Demand]: ...

    async def story(self, workflow_job_id: int) -> Story | None: ...

    async def reached(self, job_id: JobId, state: State, at: datetime) -> None:
        """Note how far the job's runner has come, unless GitHub has said more, or the runner is another demand's."""
        ...


@dataclass(frozen=True, slots=True)
class RunnerRow:
    """What is known of the runner of a job's latest attempt."""

    job_id: JobId
    attempt: int
    name: str
    begun_at: datetime
    """When the attempt began: from here on there may be a sandbox, and then a registration of that name."""
    runner_id: int | None = None
    """GitHub's; none until its answer has come."""
    prepared_at: datetime | None = None
    """When its sandbox was ready, and the registration was asked for."""
    minted_at: datetime | None = None
    online_at: datetime | None = None
    """When it was first known to listen for jobs."""
    removed_at: datetime | None = None
    """When its registration was known to be gone, or never to have been."""


class Runners(Protocol):
    """How far runners have come. Each step is told of one attempt, and nothing is written once there is a later one."""

    async def begun(self, job_id: JobId, attempt: int, name: str, at: datetime) -> None:
        """An attempt at a runner begins: the demand that it is for is `starting`."""
        ...

    async def minted(
        self, job_id: JobId, attempt: int, runner_id: int, prepared_at: datetime, at: datetime
    ) -> None: ...

    async def online(self, job_id: JobId, attempt: int, at: datetime) -> None:
        """It listens for jobs: the demand is `online`. Only the first time counts."""
        ...

    async def removed(self, job_id: JobId, attempt: int, at: datetime) -> None: ...

    async def of(self, job_id: JobId, attempt: int) -> RunnerRow | None:
        """None where that attempt has not begun, or a later one has."""
        ...


class Installations(Protocol):
    async def list(self) -> Sequence[Installation]:
        """All that are known, the deleted ones too, by id."""
        ...
