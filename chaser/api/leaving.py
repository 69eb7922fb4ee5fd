"""A client that has been seen leaving: its run is cancelled, unless somebody else waits for it too."""

import structlog

from chaser.api.context import Api
from chaser.errors import Unavailable
from chaser.ids import JobId
from chaser.jobs.reason import Reason

_log = structlog.stdlib.get_logger("chaser.api")


async def leave(api: Api, job_id: JobId) -> None:
    if not api.audience.alone(job_id):
        return
    try:
        await api.intake.cancel(job_id, Reason.CLIENT_GONE)
    except Unavailable as error:
        _log.warning(
            "A client has left, and its run could not be cancelled; it goes on to its own end.",
            action="client_gone",
            job_id=job_id,
            error=str(error),
        )
