"""Demands that are owed a runner and have none, since the one that they had has ended; `chaser.store.renewals` tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.runners.demand import Demand
from chaser.runners.inbox import Recorded


@dataclass(frozen=True, slots=True)
class EndedRunner:
    """How the job ended whose runner was meant for a demand."""

    status: Status
    reason: Reason | None
    message: str | None
    handed_over: bool
    """Whether its runner may have been started."""
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Unserved:
    """A demand that is owed a runner, and has none; `job`: the last one's, if there was one."""

    demand: Demand
    job: EndedRunner | None


class UnservedDemands(Protocol):
    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        """As `Wards.turn`."""
        ...

    async def unserved(self) -> Sequence[Unserved]:
        """Some of them, if there are very many."""
        ...

    async def renew(self, unserved: Unserved, setback: str, pause: timedelta, at: datetime) -> Recorded:
        """Plan another runner for it, to be made after the pause, and keep how the last one ended.

        After the last that a demand is given it is refused. Nothing, where more was said since it was seen so.
        """
        ...
