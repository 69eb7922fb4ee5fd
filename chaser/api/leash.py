"""The leash of a job: that somebody asks for it, or follows it, is written down, so that it lives on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from chaser.api.context import Api
from chaser.errors import Unavailable
from chaser.jobs.job import Job

_log = structlog.stdlib.get_logger("chaser.api")


async def touch(api: Api, job: Job) -> None:
    """Somebody has asked for the job. A store that does not answer is no reason to refuse what was asked."""
    if job.leash is None or job.status.ended:
        return
    try:
        await api.jobs.touch(job.id, api.clock.now())
    except Unavailable as error:
        _log.warning("A leash could not be renewed.", action="touch", job_id=job.id, error=str(error))


@asynccontextmanager
async def held(api: Api, job: Job) -> AsyncGenerator[None]:
    """Somebody follows the job for as long as the block lasts."""
    if job.leash is None or job.status.ended:
        yield
        return
    holding = asyncio.create_task(_hold(api, job, job.leash / 3), name=f"leash of {job.id}")
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def _hold(api: Api, job: Job, beat: timedelta) -> None:
    while True:
        await touch(api, job)
        await asyncio.sleep(beat.total_seconds())
