"""Deliveries from GitHub, and the jobs that they ask for: one transaction, so that neither exists without the other."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chaser.ids import JobId
from chaser.jobs.job import NewJob


class Decision(StrEnum):
    """What was made of a delivery."""

    ACCEPTED = "accepted"
    """A runner is owed; `Delivery.job_id` names the job."""
    REFUSED = "refused"
    """Meant for us, and refused; `Delivery.message` says why and what to do."""
    NOT_OURS = "not_ours"
    """An event, action or label that is not for us."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook delivery. `guid` is GitHub's `X-GitHub-Delivery`: the same again for a redelivery."""

    guid: str
    event: str
    action: str | None
    received_at: datetime
    installation_id: int | None
    repository: str | None
    workflow_job_id: int | None
    decision: Decision
    message: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Stored now. `job_id`: the job that answers it, new or made by an earlier delivery for the same workflow job."""

    job_id: JobId | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """This guid was stored before; nothing was written. `decision` is what was made of it then."""

    decision: Decision
    job_id: JobId | None


class Inbox(Protocol):
    async def record(self, delivery: Delivery, new: NewJob | None) -> Recorded | Repeated:
        """Store the delivery, and the job (unless its `origin` is known already), in one transaction."""
        ...
