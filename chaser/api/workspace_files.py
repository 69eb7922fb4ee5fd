"""/v1/workspaces/{workspace}/files: list, read, write, remove."""

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.api.artifacts import BYTES, FilesAnswer, file_headers
from chaser.api.body import read_query
from chaser.api.call import Call, shown
from chaser.api.context import Api
from chaser.api.schemas.files import UploadQuery, UploadType
from chaser.api.schemas.workspaces import FileAnswer, FilePage, FilesQuery, FileType
from chaser.api.uploads import TAR, body_pieces
from chaser.api.workspace_changes import change
from chaser.api.workspaces import named_workspace
from chaser.errors import Rejected
from chaser.sandboxes.files import Upload
from chaser.sandboxes.inside import Inside, inside
from chaser.sandboxes.workspace_files import Entry, EntryType, Opened

_TYPES: Final = {
    EntryType.FILE: FileType.FILE,
    EntryType.DIRECTORY: FileType.DIRECTORY,
    EntryType.SYMLINK: FileType.SYMLINK,
    EntryType.OTHER: FileType.OTHER,
}
_PLACE = re.compile(rb"/+v1/+workspaces/+[^/]+/+files/(.*)", re.DOTALL)
_PATH = re.compile(rb"(?:^|&)path=([^&]*)")


class OpenedAnswer(FilesAnswer):
    """What was opened in a workspace. Whatever becomes of the answer, it is closed."""

    def __init__(
        self, api: Api, headers: dict[str, str], body: AsyncGenerator[bytes], opened: AsyncExitStack
    ) -> None:
        super().__init__(api, headers, body)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened:
            await super().__call__(scope, receive, send)


async def index(call: Call) -> Response:
    query = read_query(call.request, FilesQuery)
    workspace = await named_workspace(call)
    place = inside(_query_path(call))
    after = None if query.cursor is None else unquote_to_bytes(query.cursor)
    every = await call.api.workspace_parts.files.list(workspace, place)
    found = [entry for entry in every if after is None or entry.name > after]
    data = [_answer(place, entry) for entry in found[: query.limit]]
    more = len(found) > query.limit
    cursor = quote_from_bytes(found[query.limit - 1].name, safe="") if more else None
    return shown(FilePage(data=data, next_cursor=cursor))


async def read(call: Call) -> Response:
    workspace = await named_workspace(call)
    place = _place(call)
    stack = AsyncExitStack()
    async with stack:
        opened = await stack.enter_async_context(call.api.workspace_parts.files.opened(workspace, place))
        name = place.name.decode("utf-8", "replace") or workspace.name
        return OpenedAnswer(call.api, _headers(opened, name), opened.pieces, stack.pop_all())


async def write(call: Call) -> Response:
    query = read_query(call.request, UploadQuery)
    workspace = await named_workspace(call)
    place = _place(call)
    is_tar = _is_tar(call, query)
    if not is_tar and not place.parts:
        raise Rejected(422, "invalid_path", "A file needs a name; send a tar to fill the workspace itself.")
    call.api.admission()
    upload = await _received(call, is_tar=is_tar)
    try:
        asked = {"path": place.encoded, "upload": upload.id}
        done = await change(call, workspace, "workspace.write", asked)
    except Exception:
        await call.api.uploads.remove(upload.id)
        raise
    if isinstance(done, Response):
        return done
    await call.api.uploads.remove(upload.id)
    return Response(status_code=204)


async def remove(call: Call) -> Response:
    workspace = await named_workspace(call)
    place = _place(call)
    if not place.parts:
        raise Rejected(
            422, "invalid_path", "Name what is to be removed; to remove all, delete the workspace."
        )
    done = await change(call, workspace, "workspace.remove", {"path": place.encoded})
    return done if isinstance(done, Response) else Response(status_code=204)


def _is_tar(call: Call, query: UploadQuery) -> bool:
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("multipart/"):
        message = "Send the bytes themselves as the body, not a form: `curl -T FILE …`."
        raise Rejected(415, "unsupported_media_type", message)
    return query.type is UploadType.TAR or (query.type is None and media_type == TAR)


async def _received(call: Call, *, is_tar: bool) -> Upload:
    announced = call.request.headers.get("content-length", "")
    async with aclosing(body_pieces(call.request, call.api.rules.stall.total_seconds())) as pieces:
        return await call.api.uploads.receive(
            pieces,
            is_tar=is_tar,
            key_id=call.key.id,
            announced=int(announced[:20]) if announced.isdecimal() else None,
        )


def _headers(opened: Opened, name: str) -> dict[str, str]:
    headers = file_headers(TAR, f"{name}.tar") if opened.is_directory else file_headers(BYTES, name)
    headers["Content-Length"] = str(opened.size_bytes)
    return headers


def _place(call: Call) -> Inside:
    """As it was sent: what is made of a path on its way here has lost the bytes that are no UTF-8."""
    raw: bytes = call.request.scope["raw_path"]
    found = _PLACE.fullmatch(raw)
    return inside(re.sub(rb"/{2,}", b"/", found[1]) if found else call.request.path_params["path"])


def _query_path(call: Call) -> bytes:
    raw: bytes = call.request.scope["query_string"]
    found = _PATH.search(raw)
    return found[1].replace(b"+", b" ") if found else b""


def _answer(place: Inside, entry: Entry) -> FileAnswer:
    whole = Inside((*place.parts, entry.name))
    return FileAnswer(
        name=entry.name.decode("utf-8", "replace"),
        path=whole.encoded,
        type=_TYPES[entry.type],
        size_bytes=entry.size_bytes,
        mode=entry.mode,
        modified_at=entry.modified_at,
        uid=entry.uid,
        gid=entry.gid,
    )
