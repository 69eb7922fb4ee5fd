"""Workflow jobs of GitHub's, and what GitHub tells of them, for tests of what is made of that."""

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from chaser.ids import JobId, new_job_id
from chaser.runners.decide import Ours, decide
from chaser.runners.event import InstallationEvent, WorkflowJobEvent
from chaser.runners.inbox import JobNews, Recorded, Repeated
from chaser.runners.labels import Grammar
from chaser.runners.policy import Policy
from chaser.store.store import Store
from tests.profiles import named
from tests.rows import START

OURS = Ours(Grammar(named("default", "large")), Policy(), "chaser-0123456789ab-")
FOREIGN = "another-fleets-runner"


def told(action: str = "queued", job_id: int = 77, **changes: object) -> WorkflowJobEvent:
    """What GitHub says; `changes` are fields of the event."""
    plain = WorkflowJobEvent(
        action=action,
        job_id=job_id,
        run_id=7,
        name="build",
        workflow_name="CI",
        labels=("self-hosted", "chaser"),
        repository="octo-org/example",
        organization="octo-org",
        installation_id=5,
        private=True,
    )
    return replace(plain, **changes)  # pyright: ignore[reportArgumentType]


def installed(action: str = "created", **changes: object) -> InstallationEvent:
    plain = InstallationEvent(
        event="installation",
        action=action,
        installation_id=5,
        account="octo-org",
        account_type="Organization",
        selection="all",
        suspended_at=None,
        updated_at=None,
    )
    return replace(plain, **changes)  # pyright: ignore[reportArgumentType]


def runner_of(job_id: JobId | None) -> str:
    """The name of the runner that the job's first attempt registers."""
    assert job_id is not None
    return f"{OURS.names}{job_id.removeprefix('job_')}-1"


def news(event: WorkflowJobEvent, at: datetime = START) -> JobNews:
    found = decide("guid", event, OURS, new_job_id(at), at).news
    assert isinstance(found, JobNews)
    return found


async def tell(
    store: Store,
    event: WorkflowJobEvent | InstallationEvent,
    at: datetime = START,
    guid: str | None = None,
    ours: Ours = OURS,
) -> Recorded | Repeated:
    ruling = decide(guid or str(uuid4()), event, ours, new_job_id(at), at)
    return await store.inbox.record(ruling.delivery, ruling.news)
