"""What a delivery means: which workflow job it tells of, and whether that is for us. Pure.

What follows from it depends on what was heard before: see `chaser.runners.demand`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from chaser.ids import JobId
from chaser.jobs.job import NO_SECRETS, NewJob
from chaser.runners.admission import Owed, admission
from chaser.runners.demand import origin
from chaser.runners.event import Event, InstallationEvent, WorkflowJobEvent
from chaser.runners.inbox import Decision, Delivery, JobNews, News
from chaser.runners.labels import (
    DEFAULT_PROFILE,
    Accepted,
    Declined,
    Grammar,
    NotOurs,
    Sizes,
    match_labels,
)
from chaser.runners.policy import Policy, Repository, widest
from chaser.runners.registration import job_of

KIND = "github.runner"
REFUSAL = "refusal"
"""In a job's input: why the workflow job is not run."""

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
_SCREENED = "Its run is looked at before a runner is made: GitHub is asked what started it, and from which repository."
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
    refusal_runners: bool = False
    """Whether a job that is refused gets a runner that says so."""

    @property
    def digest(self) -> str:
        """Of all that decides who is served: another one means that a refusal may be none any more."""
        grammar = self.grammar
        profiles = [
            (name, profile.maxima, sorted(profile.runner_labels), profile.repositories)
            for name, profile in sorted(grammar.profiles.items())
        ]
        said = repr((profiles, grammar.prefix, grammar.architecture, self.policy, self.refusal_runners))
        return sha256(said.encode()).hexdigest()


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
    news = news_of(event, ours, job_id, now)
    if news is None:
        message = f"No label begins with {ours.grammar.prefix!r}."
        return Ruling(_delivery(guid, event, Decision.NOT_OURS, message, now), None)
    return Ruling(_delivery(guid, event, news.decision, news.message or _for_now(news), now), news)


def _for_now(news: JobNews) -> str | None:
    """What is the delivery's to say, since it is so at this moment alone."""
    if news.decision is Decision.ACCEPTED and news.event.action == "waiting":
        return _PARKED
    return _SCREENED if news.screen and news.event.action == "queued" else None


def news_of(event: WorkflowJobEvent, ours: Ours, job_id: JobId, now: datetime) -> JobNews | None:
    """What is decided of a workflow job; none: it is not for us, and has none of our runners."""
    if event.action not in _TAKES:
        # No runner has it yet; GitHub's own example names one all the same.
        event = replace(event, runner_id=None, runner_name=None)
    runner_of = job_of(ours.names, event.runner_name)
    match _admission(event, ours):
        case NotOurs() if runner_of is None:
            return None
        case NotOurs():
            return JobNews(event, Decision.NOT_OURS, _STRANGER, None, runner_of)
        case Declined(message):
            new = refusing(event, ours, message, job_id, now) if event.action == "queued" else None
            return JobNews(event, Decision.REFUSED, message, new, runner_of)
        case Owed() if event.installation_id is None:
            return JobNews(event, Decision.REFUSED, _NO_INSTALLATION, None, runner_of)
        case Owed() as owed:
            new = _new_runner(event, ours, owed, job_id, now) if event.action == "queued" else None
            screen = ours.policy.screens(repository_of(event))
            profile = owed.match.profile
            return JobNews(event, Decision.ACCEPTED, None, new, runner_of, profile=profile, screen=screen)


def owed_now(
    event: WorkflowJobEvent, ours: Ours, profile: str | None, job_id: JobId, now: datetime
) -> NewJob | Declined:
    """The runner of a job whose run has been looked at; `profile`: the one to run it in, if it is not its label's."""
    match _admission(event, ours, profile):
        case Owed() as owed:
            return _new_runner(event, ours, owed, job_id, now)
        case Declined() as declined:
            return declined
        case NotOurs():
            return Declined(f"No label begins with {ours.grammar.prefix!r} any more.")


def refusing(
    event: WorkflowJobEvent, ours: Ours, message: str, job_id: JobId, now: datetime
) -> NewJob | None:
    """The runner that tells of a refusal where people look for it; none: they are not wanted, or nobody can register it.

    GitHub may give it another job that its labels fit, and that may run. So it is what such a job would get; only where the
    label is not understood, and no job with it runs, it is as small as a runner can be.
    """
    if not ours.refusal_runners or event.installation_id is None:
        return None
    match = match_labels(event.labels, ours.grammar)
    if not isinstance(match, Accepted):
        match = Accepted(DEFAULT_PROFILE, Sizes(cpus=1, memory_bytes=1 << 30))
    repository = repository_of(event)
    new = _new_runner(event, ours, Owed(match, widest(repository)), job_id, now)
    return replace(new, input={**new.input, REFUSAL: message})


def repository_of(event: WorkflowJobEvent) -> Repository:
    return Repository(event.repository, event.private, event.organization is not None)


def _admission(event: WorkflowJobEvent, ours: Ours, profile: str | None = None) -> Owed | Declined | NotOurs:
    return admission(event.labels, repository_of(event), ours.grammar, ours.policy, instead=profile)


def _new_runner(event: WorkflowJobEvent, ours: Ours, owed: Owed, job_id: JobId, now: datetime) -> NewJob:
    """The job that is a workflow job's first runner."""
    profile = ours.grammar.profiles[owed.match.profile]
    guarded = ours.policy.guards(repository_of(event), profile, owed.level)
    return NewJob(
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
            **({"guarded": True} if guarded else {}),
        },
        secrets=NO_SECRETS,
        created_at=now,
        queue_until=None,
        profile=owed.match.profile,
        max_attempts=MAX_ATTEMPTS,
        origin=origin(event.job_id, 1),
        lane=f"github/{event.repository}",
        tenant=f"github/{event.installation_id}",
    )


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
