"""Waiting on behalf of a client: for news of a job, or of any, of the client, and of the service's own stop."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum

import structlog
from starlette.types import Receive

from chaser.api.context import Api
from chaser.api.leash import held
from chaser.errors import Unavailable
from chaser.ids import JobId
from chaser.jobs.completion import Watch
from chaser.jobs.job import Job

_log = structlog.stdlib.get_logger("chaser.api")

_LOOKS_AT_ONCE = 20
_MOST_PAUSE = 0.05


class News(Enum):
    CHANGED = "changed"
    """A job's row or log has been written, or nobody has looked for a while."""
    GONE = "gone"
    """The client has closed its connection."""
    STOPPING = "stopping"
    """The service stops."""
    QUIET = "quiet"
    """Nothing of it, for as long as was asked."""


class Lookout:
    """One client's wait for news. Made by `lookout`."""

    def __init__(self, api: Api, watch: Watch, receive: Receive) -> None:
        self._watch = watch
        self._gone = asyncio.create_task(_disconnected(receive))
        self._stopping = asyncio.create_task(_stopped(api.stopping))
        self._change = asyncio.create_task(watch.wait())

    @property
    def interrupted(self) -> bool:
        """Whether the client has left or the service stops: the next news."""
        return self._gone.done() or self._stopping.done()

    async def next(self, within: float) -> News:
        """The next thing that happens, in order of weight; `within` is in seconds."""
        tasks = {self._stopping, self._gone, self._change}
        await asyncio.wait(tasks, timeout=max(0.0, within), return_when=asyncio.FIRST_COMPLETED)
        if self._stopping.done():
            return News.STOPPING
        if self._gone.done():
            return News.GONE
        if self._change.done():
            self._change = asyncio.create_task(self._watch.wait())
            return News.CHANGED
        return News.QUIET

    async def close(self) -> None:
        tasks = (self._gone, self._stopping, self._change)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Vigil(Lookout):
    """One client's wait on one job. Made by `vigil`."""

    def __init__(self, api: Api, job_id: JobId, watch: Watch, receive: Receive) -> None:
        super().__init__(api, watch, receive)
        self._api = api
        self._job_id = job_id
        self._looks = 0

    async def ended_within(self, span: timedelta) -> Job | News:
        """The job, once ended; else why it is not waited for any longer (never `CHANGED`)."""
        loop = asyncio.get_running_loop()
        until = loop.time() + span.total_seconds()
        again = self._api.rules.look_again.total_seconds()
        while (left := until - loop.time()) > 0:
            news = await self.next(min(left, again))
            if news in {News.GONE, News.STOPPING}:
                return news
            job = await self.look()
            if job is not None and job.status.ended:
                return job
        return News.QUIET

    async def look(self) -> Job | None:
        """The job as it is now; none while the store cannot say."""
        # a job that prints much changes all the time: after the first looks they come no faster than this
        if self._looks >= _LOOKS_AT_ONCE:
            await asyncio.sleep(min(_MOST_PAUSE, 0.001 * (self._looks - _LOOKS_AT_ONCE)))
        self._looks += 1
        try:
            return await self._api.jobs.get(self._job_id)
        except Unavailable as error:
            _log.warning(
                "The store does not answer a waiting call; it looks again.", action="look", error=str(error)
            )
            return None


@asynccontextmanager
async def lookout(api: Api, receive: Receive) -> AsyncGenerator[Lookout]:
    """News of any job."""
    with api.completion.watch_all() as watch:
        kept = Lookout(api, watch, receive)
        try:
            yield kept
        finally:
            await kept.close()


@asynccontextmanager
async def vigil(api: Api, job: Job, receive: Receive) -> AsyncGenerator[Vigil]:
    """A vigil over the job. The request's body must have been read: what `receive` gives then is the client's leaving."""
    with api.completion.watch(job.id) as watch:
        kept = Vigil(api, job.id, watch, receive)
        try:
            async with held(api, job):
                yield kept
        finally:
            await kept.close()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stopped(stopping: asyncio.Event) -> None:
    await stopping.wait()
