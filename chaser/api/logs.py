"""GET /v1/jobs/{id}/logs: what the job has printed, from a place on, to where it is now or to its end."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.api.auth import visible_job
from chaser.api.body import read_query
from chaser.api.call import Call
from chaser.api.context import Api
from chaser.api.frames import Decoder, Piece
from chaser.api.log_reader import Followed, decoder_after, drain, follow
from chaser.api.schemas.jobs import FrameLine, LogFormat, LogQuery
from chaser.api.sending import STREAMING_HEADERS, Sender, Stalled
from chaser.api.vigil import News
from chaser.errors import ChaserError
from chaser.jobs.job import Job
from chaser.jobs.logs import Frame, Stream

_log = structlog.stdlib.get_logger("chaser.api")

NDJSON = "application/x-ndjson"
TEXT = "text/plain; charset=utf-8"


async def read(call: Call) -> Response:
    query = read_query(call.request, LogQuery)
    job = await visible_job(call.api, call.key, call.request.path_params["id"])
    return LogAnswer(call.api, job, query)


class LogAnswer(Response):
    def __init__(self, api: Api, job: Job, query: LogQuery) -> None:
        super().__init__()
        self._api = api
        self._job = job
        self._query = query
        self._lines = query.format is LogFormat.NDJSON
        self._decoder = Decoder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = Sender(send, self._api.rules.stall)
        media_type = NDJSON if self._lines else TEXT
        headers = {"Content-Type": media_type, "X-Content-Type-Options": "nosniff", **STREAMING_HEADERS}
        try:
            if self._lines:
                self._decoder = await decoder_after(self._api, self._job.id, self._query.after)
            await sender.start(200, headers)
            await self._tell(self._source(receive), sender)
        except Stalled:
            _log.info("A client no longer reads a log.", action="stalled", job_id=self._job.id)
        except ChaserError as error:
            _log.warning("A log was cut.", action="cut", job_id=self._job.id, error=str(error))

    def _source(self, receive: Receive) -> AsyncGenerator[Followed]:
        if self._query.follow:
            return follow(self._api, self._job, self._query.after, receive)
        return _only_frames(drain(self._api, self._job.id, self._query.after))

    async def _tell(self, source: AsyncGenerator[Followed], sender: Sender) -> None:
        async with aclosing(source) as told:
            async for item in told:
                match item:
                    case News.GONE | News.STOPPING:
                        # not ended: a whole answer would say that this is all of the log
                        return
                    case News():
                        # an empty line: a client that is gone without a word is found out, and a proxy stays quiet
                        if self._lines:
                            await sender.piece(b"\n")
                    case Job():
                        break
                    case frames:
                        if data := self._written(frames):
                            await sender.piece(data)
        await sender.end(b"".join(map(_line, self._decoder.finish())) if self._lines else b"")

    def _written(self, frames: Sequence[Frame]) -> bytes:
        wanted = self._query.stream
        kept = [frame for frame in frames if wanted is None or frame.stream in {Stream.GAP, Stream(wanted)}]
        return b"".join(map(_line, self._decoder.feed(kept)) if self._lines else map(_bytes, kept))


async def _only_frames(pages: AsyncGenerator[Sequence[Frame]]) -> AsyncGenerator[Followed]:
    async with aclosing(pages):
        async for frames in pages:
            yield frames


def _bytes(frame: Frame) -> bytes:
    if frame.stream is not Stream.GAP:
        return frame.data
    if frame.skipped:
        return f"\n[chaser: {frame.skipped} bytes are left out here]\n".encode()
    return b"\n[chaser: output may be missing here]\n"


def _line(piece: Piece) -> bytes:
    frame = piece.frame
    line = FrameLine(
        seq=frame.seq,
        attempt=frame.attempt,
        step=frame.step,
        stream=piece.stream,
        at=frame.at,
        data=piece.text,
        skipped=piece.skipped,
    )
    return line.model_dump_json(exclude_none=True).encode() + b"\n"
