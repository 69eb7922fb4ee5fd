"""Jobs of a kind as the queue hands them to it, made from a request without a store."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from chaser.ids import new_job_id
from chaser.jobs.job import Job, Status
from chaser.jobs.kind import Admitted, Bounds
from chaser.sandboxes.engine import Image
from chaser.sandboxes.spec import Isolation, Limits, Network, Profile, WorkspaceUse
from tests.rows import START
from tests.works import PROFILE as PLAIN

BOUNDS = Bounds(timedelta(minutes=10), timedelta(hours=6))
PROFILE = replace(
    PLAIN,
    network=Network.INTERNET,
    runtime="crun",
    limits=Limits(cpus=1, memory_bytes=1000, pids=10, disk_bytes=50, nofile=7, shm_bytes=8),
    maxima=Limits(cpus=2, memory_bytes=2000, pids=20, disk_bytes=100),
)
PROFILES: Mapping[str, Profile] = {
    "default": PROFILE,
    "tight": replace(PROFILE, name="tight", isolation=Isolation.STRICT, network=Network.NONE),
}


IMAGE = Image("sha256:image", "sha256:digest", "", frozenset(), "/")


def row_of(kind: str, admitted: Admitted, workspace: WorkspaceUse | None = None, **changes: Any) -> Job:  # noqa: ANN401  # the fields of a value object, checked by it
    """The job that an admitted request becomes, being started."""
    job = Job(
        id=new_job_id(START),
        kind=kind,
        status=Status.STARTING,
        reason=None,
        message=None,
        input=admitted.input,
        secrets=admitted.secrets,
        result=None,
        attempt=1,
        max_attempts=3,
        priority=0,
        key_id=None,
        idempotency_key=None,
        origin=None,
        worker=None,
        profile=admitted.profile,
        workspace=workspace,
        concurrency_key=None,
        retry=None,
        retries=0,
        leash=None,
        retry_of=None,
        sandbox_id=None,
        cancel_requested=None,
        created_at=START,
        run_at=START,
        queued_at=START,
        ready=False,
        queue_until=None,
        started_at=None,
        handed_over_at=None,
        finished_at=None,
    )
    return replace(job, **changes)
