"""Deliveries from GitHub, and what they change here: one transaction, so that neither exists without the other."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chaser.ids import JobId
from chaser.jobs.job import NewJob
from chaser.runners.event import InstallationEvent, WorkflowJobEvent


class IntakeMode(StrEnum):
    """How deliveries come in."""

    WEBHOOK = "webhook"
    """GitHub makes them; those that fail it is asked for again."""
    DELIVERIES = "deliveries"
    """They are read out of the App's list, and nothing of ours can be reached from outside."""
    BOTH = "both"
    """GitHub makes them, and those that do not arrive are read at once."""


class Learned(StrEnum):
    """How something came to be known here."""

    WEBHOOK = "webhook"
    """GitHub delivered it; where it may not, the delivery was read from the App's list (`github.intake`)."""
    REDELIVERY = "redelivery"
    """The delivery had failed: GitHub was asked for it again, or it was read from the App's list."""
    POLL = "poll"
    """GitHub was asked for its jobs."""
    START_UP = "start_up"
    """The same, at the first look that was taken: when the service started, or the App had been installed."""


class Decision(StrEnum):
    """What was made of a delivery, or of a workflow job."""

    ACCEPTED = "accepted"
    """For us, and taken in; where a runner is owed, `Delivery.job_id` names the job."""
    REFUSED = "refused"
    """Meant for us, and refused; `Delivery.message` says why and what to do."""
    NOT_OURS = "not_ours"
    """An event, action or label that is not for us."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook delivery, or what a look at GitHub has shown instead of one.

    `guid` is GitHub's `X-GitHub-Delivery`, the same again for a redelivery; of a look it is an id of our own.
    """

    guid: str
    event: str
    action: str | None
    received_at: datetime
    """When the first of it arrived."""
    installation_id: int | None
    repository: str | None
    workflow_job_id: int | None
    decision: Decision
    message: str | None
    learned: Learned = Learned.WEBHOOK
    """As whoever brings it knows; that it was asked for once more, the inbox knows."""


@dataclass(frozen=True, slots=True)
class JobNews:
    """Of a workflow job that is ours, or that a runner of ours was given."""

    event: WorkflowJobEvent
    decision: Decision
    """Of the job itself, whatever this event says of it."""
    message: str | None
    new: NewJob | None
    """The runner that it is owed, if it is accepted and in GitHub's queue; `origin` is that of its first runner."""
    runner_of: JobId | None
    """The job of ours whose runner the event names."""
    profile: str | None = None
    """The one that its label names, if it is accepted."""
    screen: bool = False
    """Whether its run has to be looked at before a runner is made."""


@dataclass(frozen=True, slots=True)
class JobGone:
    """GitHub does not show a workflow job any more of which it had told."""

    job_id: int


News = JobNews | JobGone | InstallationEvent | None
"""None: nothing but that a delivery came."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Stored now. `job_id`: the job that serves the demand, new or made by an earlier delivery."""

    job_id: JobId | None
    planned: bool = False
    """A job is new in the queue."""
    cancelled: tuple[JobId, ...] = ()
    """Jobs that GitHub no longer wants: those that waited have ended, and of the others the end is asked for."""
    screened: bool = False
    """Its run has to be looked at."""
    learned: Learned | None = None
    """How the demand was learned of, if nothing was known of it before."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """This guid was stored before; nothing was written. `decision` is what was made of it then."""

    decision: Decision
    job_id: JobId | None


class Inbox(Protocol):
    async def record(self, delivery: Delivery, news: News) -> Recorded | Repeated:
        """Store the delivery and all that follows from its news, in one transaction. Raises `Unavailable`."""
        ...
