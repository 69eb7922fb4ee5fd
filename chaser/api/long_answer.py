"""The answer of an exec as one JSON document, however long the run takes.

What is known soon is answered with its own status. Later the answer begins all the same: 200, a space now and then
(JSON allows it before a document, https://www.rfc-editor.org/rfc/rfc8259#section-2), then the document. So neither
the client nor a proxy between ever sees an idle connection.
"""

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.api.context import Api
from chaser.api.early_end import raise_early
from chaser.api.leaving import leave
from chaser.api.results import exec_answer
from chaser.api.sending import STREAMING_HEADERS, Sender, Stalled
from chaser.api.vigil import News, Vigil, vigil
from chaser.errors import ChaserError, Unavailable
from chaser.jobs.job import Job
from chaser.jobs.reason import Reason

_log = structlog.stdlib.get_logger("chaser.api")

_HEADERS = {"Content-Type": "application/json", **STREAMING_HEADERS}


class LongAnswer(Response):
    """Waits for the job's end, and for the client's leaving."""

    def __init__(self, api: Api, job: Job) -> None:
        super().__init__()
        self._api = api
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = Sender(send, self._api.rules.stall)
        job_id = self._job.id
        with self._api.audience.join(job_id):
            async with vigil(self._api, self._job, receive) as held:
                try:
                    await self._converse(held, sender)
                except Stalled:
                    _log.info("A client no longer reads; its run goes on.", action="stalled", job_id=job_id)

    async def _converse(self, held: Vigil, sender: Sender) -> None:
        match await held.ended_within(self._api.rules.answer_after):
            case Job() as job:
                raise_early(job)
                document = await self._document(job)
                await sender.start(200, {**_HEADERS, "Content-Length": str(len(document))})
                await sender.end(document)
            case News.GONE:
                await leave(self._api, self._job.id)
            case News.STOPPING:
                raise self._interrupted()
            case _:
                await sender.start(200, _HEADERS)
                await self._beat(held, sender)

    async def _beat(self, held: Vigil, sender: Sender) -> None:
        """The second part, after the answer has begun. What goes wrong now can only cut the connection."""
        while True:
            await sender.piece(b" ")
            match await held.ended_within(self._api.rules.beat):
                case Job() as job:
                    await self._finish(job, sender)
                    return
                case News.GONE:
                    await leave(self._api, self._job.id)
                    return
                case News.STOPPING:
                    return
                case _:
                    continue

    async def _finish(self, job: Job, sender: Sender) -> None:
        try:
            document = await self._document(job)
        except ChaserError as error:
            _log.warning("An answer that had begun was cut.", action="cut", job_id=job.id, error=str(error))
            return
        await sender.end(document)

    async def _document(self, job: Job) -> bytes:
        return (await exec_answer(self._api, job)).model_dump_json().encode()

    def _interrupted(self) -> Unavailable:
        return Unavailable(
            Reason.STOPPING,
            "The service is stopping; the run goes on as a job. Ask for it again at /v1/jobs, "
            "or repeat the call with the same Idempotency-Key.",
            retry_after=5,
            job=self._job.id,
        )
