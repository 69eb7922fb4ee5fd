"""How long each part of a workflow job's way took, from its making at GitHub to its end, and whose part that is. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from chaser.runners.why import LATE

MOST = 10_000
"""Jobs of which one ledger is made: the newest."""
_NOTHING = timedelta()


class Stage(StrEnum):
    """Where a workflow job can be on its way, in order."""

    CREATED = "created"
    """GitHub has made it; by GitHub's clock, which tells seconds."""
    DELIVERED = "delivered"
    """The service has heard of it."""
    STORED = "stored"
    """What was heard is in the database."""
    PLANNED = "planned"
    """A runner is owed, the last one that was: its job is in the queue."""
    STARTED = "started"
    """That job has a slot, since the last time that it got one."""
    PREPARED = "prepared"
    """Its sandbox is ready."""
    MINTED = "minted"
    """GitHub has registered its runner."""
    ONLINE = "online"
    """The runner listens for jobs."""
    RUNNING = "running"
    """GitHub has given it the job; by GitHub's clock."""
    COMPLETED = "completed"
    """By GitHub's clock."""


class Whose(StrEnum):
    """Who can make it shorter."""

    GITHUB = "github"
    CHASER = "chaser"
    OPERATOR = "operator"
    """More slots, or fewer rules."""
    RUNNER = "runner"
    """GitHub's runner program, and the network between it and GitHub."""
    WORKFLOW = "workflow"
    ALL = "all"


class Span(StrEnum):
    DELIVERY = "delivery"
    """Until GitHub told of it, or was asked for it."""
    STORING = "storing"
    ADMISSION = "admission"
    """Held back by an environment's rules or by policy, or planned again."""
    QUEUE = "queue"
    """Waiting for a slot."""
    SANDBOX = "sandbox"
    """The image, the volumes, the container."""
    REGISTRATION = "registration"
    RUNNER = "runner"
    """The hand-over, and the start of the runner program."""
    ASSIGNMENT = "assignment"
    """Until GitHub gave it the job."""
    RUN = "run"
    WAIT = "wait"
    """From its making until it ran: all but the run."""


@dataclass(frozen=True, slots=True)
class Extent:
    begin: Stage
    end: Stage
    whose: Whose


EXTENTS: Mapping[Span, Extent] = {
    Span.DELIVERY: Extent(Stage.CREATED, Stage.DELIVERED, Whose.GITHUB),
    Span.STORING: Extent(Stage.DELIVERED, Stage.STORED, Whose.CHASER),
    Span.ADMISSION: Extent(Stage.STORED, Stage.PLANNED, Whose.OPERATOR),
    Span.QUEUE: Extent(Stage.PLANNED, Stage.STARTED, Whose.OPERATOR),
    Span.SANDBOX: Extent(Stage.STARTED, Stage.PREPARED, Whose.CHASER),
    Span.REGISTRATION: Extent(Stage.PREPARED, Stage.MINTED, Whose.GITHUB),
    Span.RUNNER: Extent(Stage.MINTED, Stage.ONLINE, Whose.RUNNER),
    Span.ASSIGNMENT: Extent(Stage.ONLINE, Stage.RUNNING, Whose.GITHUB),
    Span.RUN: Extent(Stage.RUNNING, Stage.COMPLETED, Whose.WORKFLOW),
    Span.WAIT: Extent(Stage.CREATED, Stage.RUNNING, Whose.ALL),
}


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of one workflow job. A moment that is not known, or has not come, is not there."""

    profile: str | None
    moments: Mapping[Stage, datetime]

    def took(self, span: Span) -> timedelta | None:
        """None where its begin or its end is not known.

        Never negative: GitHub's clock is not ours and tells whole seconds, and a runner that was made for another job may
        have been ready before this one was heard of.
        """
        extent = EXTENTS[span]
        begin, end = self.moments.get(extent.begin), self.moments.get(extent.end)
        return None if begin is None or end is None else max(_NOTHING, end - begin)

    @property
    def late(self) -> bool:
        """Whether GitHub told of it later than it usually does."""
        return (self.took(Span.DELIVERY) or _NOTHING) >= LATE


class Passages(Protocol):
    """What the store knows of them."""

    async def of(self, workflow_job_id: int) -> Passage | None: ...

    async def begun(self, since: datetime, profile: str | None, most: int) -> Sequence[Passage]:
        """Of the jobs that runners of ours were given since then, those of which was heard last; of all profiles, or of one."""
        ...


@dataclass(frozen=True, slots=True)
class Spread:
    """How long a span took, over several jobs. `p95`: so long or shorter it took in 95 of 100."""

    count: int
    p50: timedelta
    p95: timedelta
    p99: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of some jobs. `spans` has those that are known of any."""

    jobs: int
    late: int
    """Of them, how many GitHub told of later than it usually does."""
    spans: Mapping[Span, Spread]


def ledger(passages: Sequence[Passage]) -> Ledger:
    spans = {
        span: _spread(took for each in passages if (took := each.took(span)) is not None) for span in Span
    }
    known = {span: spread for span, spread in spans.items() if spread is not None}
    return Ledger(len(passages), sum(each.late for each in passages), known)


def by_profile(passages: Sequence[Passage]) -> Mapping[str, Ledger]:
    """In the order of the profiles' names."""
    sorted_out: dict[str, list[Passage]] = {}
    for each in passages:
        if each.profile is not None:
            sorted_out.setdefault(each.profile, []).append(each)
    return {profile: ledger(sorted_out[profile]) for profile in sorted(sorted_out)}


def _spread(durations: Iterable[timedelta]) -> Spread | None:
    ordered = sorted(durations)
    if not ordered:
        return None

    def nearest_rank(percent: int) -> timedelta:
        return ordered[math.ceil(len(ordered) * percent / 100) - 1]

    return Spread(len(ordered), nearest_rank(50), nearest_rank(95), nearest_rank(99), ordered[-1])
