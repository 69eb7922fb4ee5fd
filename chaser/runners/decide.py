"""What becomes of a delivery: a runner is owed, or refused with advice, or it is not for us. Pure."""

from dataclasses import dataclass
from datetime import datetime

from chaser.ids import JobId
from chaser.jobs.job import NO_SECRETS, NewJob
from chaser.runners.event import Event, WorkflowJobEvent
from chaser.runners.inbox import Decision, Delivery
from chaser.runners.labels import Accepted, Declined, Grammar, NotOurs, match_labels

KIND = "github.runner"

MAX_ATTEMPTS = 10_000
"""As many as fit in the day or two for which GitHub lets a job wait: no outage of GitHub's, and no want of credentials,
is to end it sooner. A runner that has begun is not started again."""

_NO_INSTALLATION = (
    "This delivery names no installation: it comes from a repository's or an organization's own webhook. "
    "Remove that webhook, and install the GitHub App there, which delivers with its installation's id."
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to store: always a delivery, and a job if a runner is owed."""

    delivery: Delivery
    new: NewJob | None


def decide(guid: str, event: Event, grammar: Grammar, job_id: JobId, now: datetime) -> Ruling:
    """`job_id` is the id of the job, should there be one."""
    if not isinstance(event, WorkflowJobEvent):
        return _without_job(
            guid, event, Decision.NOT_OURS, f"The event {event.event!r} asks for no runner.", now
        )
    if event.action != "queued":
        message = f"The action {event.action!r} asks for no runner."
        return _without_job(guid, event, Decision.NOT_OURS, message, now)
    match match_labels(event.labels, grammar):
        case NotOurs():
            message = f"No label begins with {grammar.prefix!r}."
            return _without_job(guid, event, Decision.NOT_OURS, message, now)
        case Declined(message):
            return _without_job(guid, event, Decision.REFUSED, message, now)
        case Accepted(profile):
            return _accepted(guid, event, profile, job_id, now)


def _accepted(guid: str, event: WorkflowJobEvent, profile: str, job_id: JobId, now: datetime) -> Ruling:
    if event.installation_id is None:
        return _without_job(guid, event, Decision.REFUSED, _NO_INSTALLATION, now)
    new = NewJob(
        id=job_id,
        kind=KIND,
        input={
            "installation_id": event.installation_id,
            "repository": event.repository,
            "organization": event.organization,
            "labels": list(event.labels),
            "workflow_job_id": event.job_id,
            "workflow_run_id": event.run_id,
            "workflow_name": event.workflow_name,
            "job_name": event.name,
            "profile": profile,
        },
        secrets=NO_SECRETS,
        created_at=now,
        queue_until=None,
        profile=profile,
        max_attempts=MAX_ATTEMPTS,
        origin=f"github/workflow_job/{event.job_id}",
    )
    return Ruling(_delivery(guid, event, Decision.ACCEPTED, None, now), new)


def _without_job(guid: str, event: Event, decision: Decision, message: str, now: datetime) -> Ruling:
    return Ruling(_delivery(guid, event, decision, message, now), None)


def _delivery(guid: str, event: Event, decision: Decision, message: str | None, now: datetime) -> Delivery:
    job = event if isinstance(event, WorkflowJobEvent) else None
    return Delivery(
        guid=guid,
        event="workflow_job" if isinstance(event, WorkflowJobEvent) else event.event,
        action=event.action,
        received_at=now,
        installation_id=event.installation_id,
        repository=event.repository,
        workflow_job_id=job.job_id if job else None,
        decision=decision,
        message=message,
    )
