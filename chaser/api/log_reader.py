"""Reading a job's log from the store a page at a time, up to where it is now, or on until the job ends."""

from collections.abc import AsyncGenerator, Sequence

from starlette.types import Receive

from chaser.api.context import Api
from chaser.api.vigil import News, vigil
from chaser.errors import Unavailable
from chaser.ids import JobId
from chaser.jobs.job import Job
from chaser.jobs.ports import Frame

PAGE_BYTES = 256 * 1024

Followed = Sequence[Frame] | Job | News
"""Frames, in order, without loss or repeat; the job, last, once it has ended; `QUIET` at each beat without either;
`GONE` or `STOPPING`, last."""


async def drain(api: Api, job_id: JobId, after: int) -> AsyncGenerator[Sequence[Frame]]:
    """What is written by now."""
    while frames := await api.logs.read(job_id, after, PAGE_BYTES):
        yield frames
        after = frames[-1].seq


async def follow(api: Api, job_id: JobId, after: int, receive: Receive) -> AsyncGenerator[Followed]:
    """What is written, and what will be, until the job ends."""
    beat = api.rules.beat.total_seconds()
    async with vigil(api, job_id, receive) as held:
        while (news := await held.next(beat)) in {News.CHANGED, News.QUIET}:
            if news is News.QUIET:
                yield news
            # the row first: whoever has written the end has written all of the log before it
            job = await held.look()
            try:
                async for frames in drain(api, job_id, after):
                    yield frames
                    after = frames[-1].seq
                    if held.interrupted:
                        break
            except Unavailable:
                # the store is away for a while; the next beat tries again, from the same place
                continue
            if job is not None and job.status.ended and not held.interrupted:
                yield job
                return
        yield news
