"""The history of a job, as a list or as it goes on."""

from collections.abc import Sequence

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.api import sse
from chaser.api.answers import event_answer
from chaser.api.auth import visible_job
from chaser.api.call import Call, shown
from chaser.api.context import Api
from chaser.api.schemas.jobs import EventList
from chaser.api.sending import Sender, Stalled
from chaser.api.vigil import News, Vigil, vigil
from chaser.errors import ChaserError, Unavailable
from chaser.jobs.job import Job
from chaser.jobs.ports import Event

_log = structlog.stdlib.get_logger("chaser.api")
_COMMENT = sse.comment("nothing new")


async def of_job(call: Call) -> Response:
    job = await visible_job(call.api, call.key, call.request.path_params["id"])
    if sse.wanted(call.request):
        return JobEvents(call.api, job, sse.last_number(call.request))
    history = await call.api.jobs.events(job.id)
    return shown(EventList(data=[event_answer(event) for event in history]))


class JobEvents(Response):
    """As server-sent events named `change`, until the job has ended. `after` is the last that the client has seen."""

    def __init__(self, api: Api, job: Job, after: int) -> None:
        super().__init__()
        self._api = api
        self._job = job
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = Sender(send, self._api.rules.stall)
        try:
            await sender.start(200, sse.HEADERS)
            if scope["method"] != "HEAD":
                async with vigil(self._api, self._job, receive) as watch:
                    await self._tell(watch, sender)
            await sender.end()
        except Stalled:
            _log.info("A client no longer reads events.", action="stalled", job_id=self._job.id)
        except ChaserError as error:
            _log.warning("An event stream was cut.", action="cut", job_id=self._job.id, error=str(error))

    async def _tell(self, watch: Vigil, sender: Sender) -> None:
        beat = self._api.rules.beat.total_seconds()
        while (news := await watch.next(beat)) in {News.CHANGED, News.QUIET}:
            new = await self._new()
            if new:
                await sender.piece(b"".join(map(_written, new)))
                self._after = new[-1].seq
                if new[-1].to_status.ended:
                    return
            elif news is News.QUIET:
                await sender.piece(_COMMENT)
                if await self._is_over():
                    return

    async def _new(self) -> Sequence[Event]:
        try:
            return await self._api.jobs.events(self._job.id, self._after)
        except Unavailable:
            # the store is away for a while; the next beat tries again, from the same place
            return ()

    async def _is_over(self) -> bool:
        """Whether the client had seen the end before it came."""
        try:
            job = await self._api.jobs.get(self._job.id)
        except Unavailable:
            return False
        return job is None or job.status.ended


def _written(event: Event) -> bytes:
    return sse.event("change", event_answer(event), event.seq)
