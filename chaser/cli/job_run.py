"""A job from its request to its end: posted once, whatever is lost on the way, and followed."""

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from chaser.cli import document, output
from chaser.cli.attended import Result
from chaser.cli.failure import Failure
from chaser.cli.follow import job_path, to_the_end
from chaser.cli.http import Document
from chaser.cli.link import Link
from chaser.cli.piece import Show

_POST_SECONDS = 5.0
"""How long an interrupt waits to learn whether the job was accepted."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """The body of `POST /v1/jobs`. Without a key of the caller's it gets one, so that it can be sent twice."""

    kind: str
    input: Mapping[str, object] = field(repr=False)
    more: Mapping[str, object]
    idempotency_key: str

    @property
    def body(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "input": dict(self.input),
            **self.more,
            "idempotency_key": self.idempotency_key,
        }


def new_job(
    kind: str, input_: Mapping[str, object], more: Mapping[str, object], idempotency_key: str | None
) -> NewJob:
    return NewJob(kind, input_, more, idempotency_key or f"cli-{uuid.uuid4().hex}")


async def post(link: Link, job: NewJob) -> Document:
    return await link.request("POST", "/v1/jobs", body=job.body)


class JobRun:
    def __init__(self, link: Link, job: NewJob, show: Show) -> None:
        self._link = link
        self._job = job
        self._show = show
        self._id: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def follow(self) -> Result:
        posted = await post(self._link, self._job)
        self._id.set_result(str(posted["id"]))
        because = document.table(posted.get("waiting")).get("because")
        output.note(f"Job {posted['id']} is {posted.get('status')}{f': {because}' if because else ''}.")
        return await to_the_end(self._link, self._id.result(), self._show)

    async def cancel(self) -> bool:
        """Where the service does not answer, the leash ends the job soon after."""
        try:
            job = await asyncio.wait_for(asyncio.shield(self._id), _POST_SECONDS)
        except TimeoutError:
            return False
        # it may have ended by itself just now, which its result tells
        with suppress(Failure):
            await self._link.request("POST", f"{job_path(job)}/cancel")
        return True
