"""Ends of a run that are told by an HTTP status, as long as the answer has not begun."""

from collections.abc import Mapping

from chaser.errors import Rejected
from chaser.jobs.job import Job, Status
from chaser.jobs.reason import Reason

STATUSES: Mapping[Reason, int] = {
    Reason.IMAGE_NOT_FOUND: 404,
    Reason.IMAGE_FORBIDDEN: 403,
    Reason.REGISTRY_UNAUTHORIZED: 403,
    Reason.REGISTRY_UNAVAILABLE: 503,
    Reason.ENGINE_UNAVAILABLE: 503,
    Reason.NETWORK_UNAVAILABLE: 503,
}
"""Where no sandbox could be made for want of something outside. All other ends are answers of a run: 200."""


def raise_early(job: Job) -> None:
    """Raise `Rejected` for a run that never had a sandbox, with the job's id in its details."""
    status = STATUSES.get(job.reason) if job.reason and job.status is Status.FAILED else None
    if status is not None and job.reason is not None:
        retry_after = 5.0 if status == 503 else None
        message = job.message or f"The run could not start: {job.reason.value}."
        raise Rejected(status, job.reason.value, message, details={"job": job.id}, retry_after=retry_after)
