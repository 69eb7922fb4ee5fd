"""An exec as server-sent events.

`started`, then `output` as it is written, then `result`. A client that reads slowly slows down nothing but itself:
the output is read from the log, a bounded piece at a time, and only as fast as it is taken.
"""

from collections.abc import Sequence
from contextlib import aclosing

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.api.context import Api
from chaser.api.frames import Decoder, Piece
from chaser.api.leaving import leave
from chaser.api.log_reader import decoder_after, follow
from chaser.api.results import exec_answer
from chaser.api.schemas.exec import OutputEvent, StartedEvent
from chaser.api.sending import Sender, Stalled
from chaser.api.sse import HEADERS, comment, event
from chaser.api.vigil import News
from chaser.errors import ChaserError
from chaser.jobs.job import Job
from chaser.jobs.logs import Frame

_log = structlog.stdlib.get_logger("chaser.api")

_COMMENT = comment("the run goes on")


class EventStream(Response):
    """`after` is the `seq` after which to begin: that of the last event that an earlier connection saw."""

    def __init__(self, api: Api, job: Job, after: int) -> None:
        super().__init__()
        self._api = api
        self._job = job
        self._after = after
        self._decoder = Decoder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = Sender(send, self._api.rules.stall)
        try:
            with self._api.audience.join(self._job.id):
                await self._tell(receive, sender)
        except Stalled:
            _log.info("A client no longer reads; its run goes on.", action="stalled", job_id=self._job.id)
        except ChaserError as error:
            _log.warning("An event stream was cut.", action="cut", job_id=self._job.id, error=str(error))

    async def _tell(self, receive: Receive, sender: Sender) -> None:
        await sender.start(200, HEADERS)
        await sender.piece(event("started", self._started()))
        self._decoder = await decoder_after(self._api, self._job.id, self._after)
        async with aclosing(follow(self._api, self._job, self._after, receive)) as told:
            async for item in told:
                match item:
                    case News.GONE:
                        await leave(self._api, self._job.id)
                        return
                    case News.QUIET:
                        await sender.piece(_COMMENT)
                    case News():
                        break
                    case Job() as job:
                        await self._conclude(job, sender)
                    case frames:
                        await self._pass_on(frames, sender)
        await sender.end()

    async def _pass_on(self, frames: Sequence[Frame], sender: Sender) -> None:
        if events := b"".join(map(_output, self._decoder.feed(frames))):
            await sender.piece(events)

    async def _conclude(self, job: Job, sender: Sender) -> None:
        rest = b"".join(map(_output, self._decoder.finish()))
        await sender.piece(rest + event("result", await exec_answer(self._api, job)))

    def _started(self) -> StartedEvent:
        job = self._job
        return StartedEvent(id=job.id, kind=job.kind, status=job.status.value, created_at=job.created_at)


def _output(piece: Piece) -> bytes:
    data = OutputEvent(seq=piece.frame.seq, stream=piece.stream, data=piece.text, skipped=piece.skipped)
    return event("output", data, piece.frame.seq)
