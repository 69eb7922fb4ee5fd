"""What GitHub tells us, as the fleet understands it. `chaser.webhooks.events` reads it from the wire."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WorkflowJobEvent:
    """A `workflow_job` event: what GitHub says of a job at one moment.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
    """

    action: str
    """An open list: `queued`, `waiting`, `in_progress`, `completed` are known. It decides, not `status`."""
    job_id: int
    """GitHub's stable key of the workflow job; a re-run gets a new one."""
    run_id: int
    name: str
    workflow_name: str | None
    labels: tuple[str, ...]
    """The values of `runs-on` as written; GitHub adds none of its own."""
    repository: str
    """`owner/name`"""
    organization: str | None
    """The owner's login where the owner is an organization."""
    installation_id: int | None
    """None where a repository's or organization's own webhook sent it, and not an App's."""
    private: bool = False
    """Of the repository. What is not said is taken to be public."""
    run_attempt: int = 1
    html_url: str | None = None
    status: str | None = None
    """May differ from the action: of a `queued` event it may be `waiting`, of an `in_progress` one `queued`."""
    conclusion: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    """As GitHub says it; for a job that has not started it is the time of its making."""
    completed_at: datetime | None = None
    gated_at: datetime | None = None
    """When the deployment that an environment's rules hold changed last: it alone orders `queued` and `waiting`.

    Of what was read from GitHub, and not told by it: when it was so.
    """
    runner_id: int | None = None
    runner_name: str | None = None
    """None while no runner has the job, and where it ended without one."""


@dataclass(frozen=True, slots=True)
class InstallationEvent:
    """An `installation` or `installation_repositories` event.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#installation
    """

    event: str
    action: str
    """An open list; after `deleted` an installation's id never comes back."""
    installation_id: int
    account: str | None
    """The owner's login; an enterprise's slug."""
    account_type: str | None
    """An open list: `Organization`, `User`, `Enterprise`."""
    selection: str | None
    """`all` or `selected`: which repositories it may use."""
    suspended_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """Any other event. All but the name may be missing."""

    event: str
    action: str | None
    repository: str | None
    installation_id: int | None


Event = WorkflowJobEvent | InstallationEvent | OtherEvent
