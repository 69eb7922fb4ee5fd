"""/v1/jobs/{id}/artifacts: what a job has left, as a list, file by file, or all of it as a tar."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.api.auth import visible_job
from chaser.api.body import read_query
from chaser.api.call import Call, shown
from chaser.api.context import Api
from chaser.api.schemas.files import ArtifactAnswer, ArtifactList, ArtifactsFormat, ArtifactsQuery
from chaser.api.sending import STREAMING_HEADERS, Sender, Stalled
from chaser.api.uploads import TAR
from chaser.blocking import to_its_end
from chaser.errors import ChaserError, Rejected
from chaser.jobs.job import Job
from chaser.sandboxes.files import Artifact
from chaser.sandboxes.tar import END, Member, Type, header, padding

BYTES = "application/octet-stream"
_PIECE = 256 * 1024

_log = structlog.stdlib.get_logger("chaser.api")


async def index(call: Call) -> Response:
    query = read_query(call.request, ArtifactsQuery)
    job = await visible_job(call.api, call.key, call.request.path_params["id"])
    found = await call.api.artifacts.list(job.id)
    if query.format is ArtifactsFormat.TAR:
        headers = file_headers(TAR, f"{job.id}.tar")
        return FilesAnswer(call.api, headers, _tarred(call.api, job, found))
    data = [ArtifactAnswer(path=each.path, size_bytes=each.size_bytes, mode=each.mode) for each in found]
    return shown(ArtifactList(data=data))


async def read(call: Call) -> Response:
    job = await visible_job(call.api, call.key, call.request.path_params["id"])
    artifact = await call.api.artifacts.get(job.id, call.request.path_params["path"])
    if artifact is None:
        message = "The job has left no such file; GET its artifacts lists those that it has."
        raise Rejected(404, "artifact_not_found", message)
    content = call.api.artifacts.content(job.id, artifact)
    if not await to_its_end(content.is_file):
        message = "The service has the file no more; is its data directory another one, or was it emptied?"
        raise Rejected(404, "artifact_not_found", message)
    headers = file_headers(BYTES, artifact.path.rpartition("/")[2])
    headers["Content-Length"] = str(artifact.size_bytes)
    return FilesAnswer(call.api, headers, _content(content))


class FilesAnswer(Response):
    """An answer whose body is on disk. One that cannot be sent whole is cut, so that nobody takes it for whole."""

    def __init__(self, api: Api, headers: dict[str, str], body: AsyncGenerator[bytes]) -> None:
        super().__init__()
        self._api = api
        self._fields = headers
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = Sender(send, self._api.rules.stall)
        try:
            async with aclosing(self._body) as body:
                await sender.start(200, self._fields)
                if scope["method"] != "HEAD":
                    async for piece in body:
                        await sender.piece(piece)
            await sender.end()
        except (Stalled, OSError, ChaserError) as error:
            _log.warning("An answer was cut.", action="cut", path=scope["path"], error=repr(error))


def file_headers(media_type: str, name: str) -> dict[str, str]:
    return {
        "Content-Type": media_type,
        # nothing that a sandbox has made is ever shown by a browser as a page of ours
        "Content-Disposition": _disposition(name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        **STREAMING_HEADERS,
    }


def _disposition(name: str) -> str:
    """A file's name as browsers read it (RFC 6266); only what needs no quoting stands in it as it is."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


async def _content(path: Path) -> AsyncGenerator[bytes]:
    content: BinaryIO = await to_its_end(lambda: path.open("rb"))
    try:
        while piece := await to_its_end(lambda: content.read(_PIECE)):
            yield piece
    finally:
        content.close()


async def _tarred(api: Api, job: Job, artifacts: Sequence[Artifact]) -> AsyncGenerator[bytes]:
    at = int((job.finished_at or api.clock.now()).timestamp())
    for each in artifacts:
        yield header(Member(each.path.encode(), Type.FILE, each.size_bytes, each.mode, at), 0, 0)
        async with aclosing(_content(api.artifacts.content(job.id, each))) as pieces:
            async for piece in pieces:
                yield piece
        yield padding(each.size_bytes)
    yield END
