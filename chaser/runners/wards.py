"""Runners as whoever looks after them from outside knows them; `chaser.store.wards` tells."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chaser.ids import JobId
from chaser.jobs.reason import Reason
from chaser.runners.demand import State
from chaser.runners.ports import RunnerRow
from chaser.runners.registration import Owner


@dataclass(frozen=True, slots=True)
class Ward:
    """A runner whose registration may be there, as far as is known here."""

    row: RunnerRow
    owner: Owner
    live: bool
    """Whether its job is at this attempt; else its sandbox is gone, or going."""
    ended_at: datetime | None
    """When its job has ended."""
    ending: bool
    """Whether its end was asked for."""
    serves: State | None
    """The state of the demand that has it; none: no demand has."""
    served_at: datetime | None
    """When that demand has changed last."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Which attempt at a runner a job has come to, whether that is under way, and when the job ended."""

    attempt: int
    live: bool
    finished_at: datetime | None


class Wards(Protocol):
    """What whoever looks after runners from outside must know of them, and note."""

    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        """Whether the look of this name is due, and is the caller's to take: of all services one gets it."""
        ...

    async def open(self, since: datetime) -> Sequence[Ward]:
        """Those that began since then whose registration is not known to be gone."""
        ...

    async def owners(self, since: datetime) -> Sequence[Owner]:
        """Whose workflow jobs were served since then."""
        ...

    async def standings(self, ids: Collection[JobId]) -> Mapping[JobId, Standing]:
        """Of those that are known."""
        ...

    async def condemned(self, job_id: JobId, attempt: int, reason: Reason, at: datetime) -> bool:
        """Its registration is gone: note that, and ask for its end. False: the attempt has ended by itself, or is asked to."""
        ...

    async def removed(self, job_id: JobId, attempt: int, at: datetime) -> None: ...

    async def online(self, job_id: JobId, attempt: int, at: datetime) -> None: ...

    async def outlived(self, before: datetime) -> int:
        """How many live runners have had no registration since before then."""
        ...
