"""What a delivery means: which workflow job it tells of, and whether that is for us. Pure.

What follows from it depends on what was heard before: see `chaser.runners.demand`.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from chaser.ids import JobId
from chaser.jobs.job import NO_SECRETS, NewJob
from chaser.runners.admission import Owed, admission
from chaser.runners.demand import origin
from chaser.runners.event import Event, InstallationEvent, WorkflowJobEvent
from chaser.runners.inbox import Decision, Delivery, JobNews, News
from chaser.runners.labels import Declined, Grammar, NotOurs
from chaser.runners.policy import Policy, Repository
from chaser.runners.registration import job_of

KIND = "github.runner"

MAX_ATTEMPTS = 10_000
"""As many as fit in the day or two for which GitHub lets a job wait: no outage of GitHub's, and no want of credentials,
is to end it sooner. A runner that has begun is not started again."""

_KNOWN = frozenset({"queued", "waiting", "in_progress", "completed"})
_TAKES = frozenset({"in_progress", "completed"})
"""The actions that may name a runner."""

_NO_INSTALLATION = (
    "This delivery names no installation: it comes from a repository's or an organization's own webhook. "
    "Remove that webhook, and install the GitHub App there, which delivers with its installation's id."
)
_PARKED = "GitHub holds the job back for an environment's rules; its runner is made when GitHub queues it."
_STRANGER = (
    "A job with other labels was given a runner of ours, since all of its labels are that runner's too."
)


@dataclass(frozen=True, slots=True)
class Ours:
    """What tells our own from others', and whom we serve."""

    grammar: Grammar
    policy: Policy
    names: str
    """What the names of our runners begin with."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to store: always a delivery, and the news in it, if it has any."""

    delivery: Delivery
    news: News


def decide(guid: str, event: Event, ours: Ours, job_id: JobId, now: datetime) -> Ruling:
    """`job_id` is the id of the job, should there be one."""
    match event:
        case WorkflowJobEvent():
            return _of_job(guid, event, ours, job_id, now)
        case InstallationEvent():
            return Ruling(_delivery(guid, event, Decision.ACCEPTED, None, now), event)
        case _:
            message = f"The event {event.event!r} asks for no runner."
            return Ruling(_delivery(guid, event, Decision.NOT_OURS, message, now), None)


def _of_job(guid: str, event: WorkflowJobEvent, ours: Ours, job_id: JobId, now: datetime) -> Ruling:
    if event.action not in _KNOWN:
        message = f"The action {event.action!r} asks for no runner."
        return Ruling(_delivery(guid, event, Decision.NOT_OURS, message, now), None)
    if event.action not in _TAKES:
        # No runner has it yet; GitHub's own example names one all the same.
        event = replace(event, runner_id=None, runner_name=None)
    runner_of = job_of(ours.names, event.runner_name)
    repository = Repository(event.repository, event.private, event.organization is not None)
    match admission(event.labels, repository, ours.grammar, ours.policy):
        case NotOurs() if runner_of is None:
            message = f"No label begins with {ours.grammar.prefix!r}."
            return Ruling(_delivery(guid, event, Decision.NOT_OURS, message, now), None)
        case NotOurs():
            return _told(guid, event, Decision.NOT_OURS, _STRANGER, runner_of, now)
        case Declined(message):
            return _told(guid, event, Decision.REFUSED, message, runner_of, now)
        case Owed() if event.installation_id is None:
            return _told(guid, event, Decision.REFUSED, _NO_INSTALLATION, runner_of, now)
        case Owed() as owed if event.action == "queued":
            return _owed(guid, event, owed, job_id, now)
        case Owed():
            parked = _PARKED if event.action == "waiting" else None
            return _told(guid, event, Decision.ACCEPTED, parked, runner_of, now)


def _owed(guid: str, event: WorkflowJobEvent, owed: Owed, job_id: JobId, now: datetime) -> Ruling:
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
            **owed.input,
        },
        secrets=NO_SECRETS,
        created_at=now,
        queue_until=None,
        profile=owed.match.profile,
        max_attempts=MAX_ATTEMPTS,
        origin=origin(event.job_id, 1),
    )
    delivery = _delivery(guid, event, Decision.ACCEPTED, None, now)
    return Ruling(delivery, JobNews(event, Decision.ACCEPTED, None, new, None))


def _told(
    guid: str,
    event: WorkflowJobEvent,
    decision: Decision,
    message: str | None,
    runner_of: JobId | None,
    now: datetime,
) -> Ruling:
    delivery = _delivery(guid, event, decision, message, now)
    # That GitHub holds it back is the delivery's to say: it is so at this moment alone.
    said = None if decision is Decision.ACCEPTED else message
    return Ruling(delivery, JobNews(event, decision, said, None, runner_of))


def _delivery(guid: str, event: Event, decision: Decision, message: str | None, now: datetime) -> Delivery:
    return Delivery(
        guid=guid,
        event="workflow_job" if isinstance(event, WorkflowJobEvent) else event.event,
        action=event.action,
        received_at=now,
        installation_id=event.installation_id,
        repository=None if isinstance(event, InstallationEvent) else event.repository,
        workflow_job_id=event.job_id if isinstance(event, WorkflowJobEvent) else None,
        decision=decision,
        message=message,
    )
