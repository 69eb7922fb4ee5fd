"""What is known of GitHub's jobs and of the App's installations, to be read; `chaser.store` does it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chaser.ids import JobId
from chaser.jobs.job import NewJob
from chaser.runners.demand import Demand, State
from chaser.runners.inbox import Delivery, JobNews, Recorded
from chaser.runners.installation import Installation
from chaser.runners.registration import Owner
from chaser.runners.rules import Run, Verdict


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

    async def of_run(self, run_id: int, attempt: int) -> Sequence[Demand]:
        """Those of one attempt of a run."""
        ...

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


@dataclass(frozen=True, slots=True)
class Approval:
    """Of all jobs of a run, in whichever attempt: they are of the same commit."""

    run_id: int
    approved_by: str
    """The API key's id, or whoever it was."""
    approved_at: datetime


class Screenings(Protocol):
    """What is known of the runs that must be looked at, and what is made of it. Raises `Unavailable`."""

    async def pending(self, limit: int) -> Sequence[Demand]:
        """Demands whose run is to be looked at, the oldest first."""
        ...

    async def run(self, run_id: int, attempt: int) -> Run | None:
        """What GitHub said of it, if it was asked."""
        ...

    async def keep(self, run_id: int, attempt: int, run: Run, at: datetime) -> None: ...

    async def judge(
        self, workflow_job_id: int, verdict: Verdict, new: NewJob | None, at: datetime
    ) -> Recorded:
        """Note what is made of a demand's run, and plan its runner where it may have one. An approval that is there counts.

        `new` is the runner that it is owed where it may run: also where the verdict is to hold it.
        """
        ...

    async def approve(self, approval: Approval) -> None:
        """Keep it, and have those of its jobs that are held judged again."""
        ...

    async def undecided(self, since: datetime, after: int, limit: int) -> Sequence[Demand]:
        """Demands that are refused or held, of which was heard first after `since`, by their ids after `after`."""
        ...

    async def reconsider(self, news: JobNews, at: datetime) -> Recorded:
        """Decide anew of a demand that is refused or held."""
        ...

    async def settings(self) -> str | None:
        """The digest of the settings by which demands were decided last."""
        ...

    async def decided_by(self, digest: str) -> None: ...


class Installations(Protocol):
    async def list(self) -> Sequence[Installation]:
        """All that are known, the deleted ones too, by id."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A demand, and whether a runner serves it or is on its way; one that has ended well may have served it."""

    demand: Demand
    has_runner: bool


class Looks(Protocol):
    """What those who look at GitHub must know of what is stored."""

    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        """Whether the look of this name is due, and is the caller's to take: of all services one gets it."""
        ...

    async def unheard(self, guids: Collection[str]) -> frozenset[str]:
        """Those of the deliveries that are not stored."""
        ...

    async def asked_again(self, guid: str, at: datetime) -> None:
        """GitHub is asked for this delivery once more: what comes of it is a redelivery."""
        ...

    async def unsettled(self, installation_id: int) -> Sequence[Demand]:
        """Those of which an end has yet to be heard, or which GitHub holds back."""
        ...

    async def known(self, ids: Collection[int]) -> Mapping[int, Known]: ...

    async def confirmed(self, action: str, ids: Collection[int], at: datetime) -> None:
        """It was still as `action` says of them then: what was told before and comes late counts less."""
        ...

    async def lively(self, now: datetime) -> Sequence[Owner]:
        """Repositories of which something was heard of late."""
        ...
