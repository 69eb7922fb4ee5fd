"""/v1/uploads: bytes for the `inputs` of jobs."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from chaser.api.body import read_query
from chaser.api.call import Call, shown
from chaser.api.context import Api
from chaser.api.schemas.files import UPLOAD_ID, UploadAnswer, UploadQuery, UploadType
from chaser.errors import FieldFault, Rejected
from chaser.ids import UploadId
from chaser.keys import ApiKey
from chaser.sandboxes.files import Upload

TAR = "application/x-tar"
_UPLOAD_ID = re.compile(UPLOAD_ID)
_NO_UPLOAD = (
    "there is no such upload (any more), or this key may not see it; send it again, and name the new one"
)


async def create(call: Call) -> Response:
    query = read_query(call.request, UploadQuery)
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("multipart/"):
        message = "Send the bytes themselves as the body, not a form: `curl --data-binary @FILE …`."
        raise Rejected(415, "unsupported_media_type", message)
    call.api.admission()
    kind = query.type or (UploadType.TAR if media_type == TAR else UploadType.FILE)
    announced = call.request.headers.get("content-length", "")
    stall = call.api.rules.stall.total_seconds()
    async with aclosing(body_pieces(call.request, stall)) as pieces:
        upload = await call.api.uploads.receive(
            pieces,
            is_tar=kind is UploadType.TAR,
            key_id=call.key.id,
            announced=int(announced[:20]) if announced.isdecimal() else None,
        )
    return shown(_answer(upload), 201)


async def read(call: Call) -> Response:
    return shown(_answer(await _visible(call)))


async def delete(call: Call) -> Response:
    await call.api.uploads.remove((await _visible(call)).id)
    return Response(status_code=204)


async def upload_faults(api: Api, key: ApiKey, named: Mapping[str, UploadId]) -> list[FieldFault]:
    """The places (JSON pointers) at which a request of this key names an upload that a new job may not have."""
    found = await api.uploads.usable(set(named.values())) if named else ()
    usable = {upload.id for upload in found if _may_see(key, upload)}
    return [FieldFault(where, _NO_UPLOAD) for where, wanted in named.items() if wanted not in usable]


async def _visible(call: Call) -> Upload:
    wanted = call.request.path_params["id"]
    upload = await call.api.uploads.get(UploadId(wanted)) if _UPLOAD_ID.fullmatch(wanted) else None
    if upload is None or not _may_see(call.key, upload):
        raise Rejected(
            404, "upload_not_found", "There is no such upload (any more), or this key may not see it."
        )
    return upload


def _may_see(key: ApiKey, upload: Upload) -> bool:
    return not key.own_jobs or upload.key_id == key.id


async def body_pieces(request: Request, stall: float) -> AsyncGenerator[bytes]:
    """The body as it comes, from a client that does not stand still."""
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                async with asyncio.timeout(stall):
                    piece = await anext(stream, None)
            except TimeoutError:
                message = f"Nothing of the body came for {stall:g} s; send it again."
                raise Rejected(408, "request_timeout", message) from None
            if piece is None:
                return
            yield piece


def _answer(upload: Upload) -> UploadAnswer:
    return UploadAnswer(
        id=upload.id,
        size_bytes=upload.size_bytes,
        type=UploadType.TAR if upload.is_tar else UploadType.FILE,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
    )
