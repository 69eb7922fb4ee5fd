"""What GitHub tells us, as the fleet understands it. `chaser.webhooks.events` reads it from the wire."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkflowJobEvent:
    """A `workflow_job` event.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
    """

    action: str
    """An open list: `queued`, `waiting`, `in_progress`, `completed` are known."""
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


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """Any other event. All but the name may be missing."""

    event: str
    action: str | None
    repository: str | None
    installation_id: int | None


Event = WorkflowJobEvent | OtherEvent
