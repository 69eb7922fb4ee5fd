"""Reading a job's log from the store a page at a time, up to where it is now, or on until the job ends."""

from collections.abc import AsyncGenerator, Sequence

from starlette.types import Receive

from chaser.api.context import Api
from chaser.api.frames import Decoder
from chaser.api.vigil import News, vigil
from chaser.errors import Unavailable
from chaser.ids import JobId
from chaser.jobs.job import Job
from chaser.jobs.logs import Frame

PAGE_BYTES = 256 * 1024
CHARACTER = 6
"""Frames that may hold parts of one character: UTF-8 has at most four bytes, and two streams may alternate."""

Followed = Sequence[Frame] | Job | News
"""Frames, in order, without loss or repeat; the job, last, once it has ended; `QUIET` at each beat without either;
`GONE` or `STOPPING`, last."""


async def decoder_after(api: Api, job_id: JobId, after: int) -> Decoder:
    """A decoder that has what the frames up to `after` have begun and not completed."""
    decoder = Decoder()
    if after:
        before = await api.logs.read(job_id, max(0, after - CHARACTER), PAGE_BYTES)
        decoder.pass_over(frame for frame in before if frame.seq <= after)
    return decoder


async def drain(api: Api, job_id: JobId, after: int) -> AsyncGenerator[Sequence[Frame]]:
    """What is written by now."""
    while frames := await api.logs.read(job_id, after, PAGE_BYTES):
        yield frames
        after = frames[-1].seq


async def follow(api: Api, job: Job, after: int, receive: Receive) -> AsyncGenerator[Followed]:
    """What is written, and what will be, until the job ends."""
    beat = api.rules.beat.total_seconds()
    async with vigil(api, job, receive) as held:
        while (news := await held.next(beat)) in {News.CHANGED, News.QUIET}:
            if news is News.QUIET:
                yield news
            # the row first: whoever has written the end has written all of the log before it
            now = await held.look()
            try:
                async for frames in drain(api, job.id, after):
                    yield frames
                    after = frames[-1].seq
                    if held.interrupted:
                        break
            except Unavailable:
                # the store is away for a while; the next beat tries again, from the same place
                continue
            if now is not None and now.status.ended and not held.interrupted:
                yield now
                return
        yield news
