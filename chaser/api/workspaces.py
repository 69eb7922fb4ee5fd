"""/v1/workspaces: make, list, read, delete."""

from datetime import timedelta

from starlette.responses import Response

from chaser.api.body import read_json, read_query
from chaser.api.call import Call, shown
from chaser.api.context import Api
from chaser.api.schemas.workspaces import (
    DeleteQuery,
    WorkspaceAnswer,
    WorkspacePage,
    WorkspaceQuery,
    WorkspaceRequest,
)
from chaser.api.workspace_access import require_prefix
from chaser.api.workspace_changes import change
from chaser.errors import Rejected
from chaser.ids import WorkspaceId, new_workspace_id
from chaser.sandboxes.spec import WorkspaceMode
from chaser.sandboxes.workspaces import Workspace, folded

_MILLISECOND = timedelta(milliseconds=1)


async def index(call: Call) -> Response:
    """Newest first."""
    query = read_query(call.request, WorkspaceQuery)
    before = WorkspaceId(query.cursor) if query.cursor else None
    prefix = folded(call.key.workspace_prefix or "")
    found = await call.api.workspace_parts.rows.list(prefix, before, query.limit + 1)
    data = [await workspace_answer(call.api, each) for each in found[: query.limit]]
    return shown(WorkspacePage(data=data, next_cursor=data[-1].id if len(found) > query.limit else None))


async def create(call: Call) -> Response:
    body = await read_json(call.request, call.api.rules)
    wanted = body.parse(WorkspaceRequest)
    require_prefix(call.key, wanted.name)
    rows = call.api.workspace_parts.rows
    new = _new(call, wanted)
    if wanted.clone_from is not None:
        return await _clone(call, new, wanted.clone_from)
    made = await rows.add(new)
    if made is None:
        raise _exists(new)
    return await _created(call, made)


async def read(call: Call) -> Response:
    return shown(await workspace_answer(call.api, await named_workspace(call)))


async def delete(call: Call) -> Response:
    query = read_query(call.request, DeleteQuery)
    workspace = await named_workspace(call)
    busy = await call.api.workspace_parts.deletions.delete(workspace, force=query.force)
    if busy is None:
        return Response(status_code=204)
    if query.force:
        message = "The jobs that use it were cancelled, and have not ended yet; ask again in a moment."
    else:
        message = "Jobs use the workspace, or wait for it; wait for their end, or delete it with ?force=true."
    raise Rejected(409, "workspace_in_use", message, details={"busy_with": list(busy.jobs)})


async def named_workspace(call: Call) -> Workspace:
    """The one that the path names."""
    selector = call.request.path_params["workspace"]
    return await call.api.workspaces.visible(selector, call.key)


async def workspace_answer(api: Api, workspace: Workspace) -> WorkspaceAnswer:
    return WorkspaceAnswer(
        id=workspace.id,
        name=workspace.name,
        image=workspace.image,
        created_at=workspace.created_at,
        last_used_at=workspace.last_used_at,
        ttl_ms=None if workspace.ttl is None else workspace.ttl // _MILLISECOND,
        expires_at=workspace.expires_at,
        size_bytes=workspace.size_bytes,
        sized_at=workspace.sized_at,
        quota_bytes=workspace.quota_bytes,
        busy_with=list(await api.workspace_parts.rows.users(workspace.id)),
    )


def _new(call: Call, wanted: WorkspaceRequest) -> Workspace:
    now = call.api.clock.now()
    ttl = None if wanted.ttl_ms is None else wanted.ttl_ms * _MILLISECOND
    return Workspace(
        id=new_workspace_id(now),
        name=wanted.name,
        created_at=now,
        last_used_at=now,
        image=wanted.image,
        ttl=ttl,
        expires_at=None if ttl is None else now + ttl,
        quota_bytes=wanted.quota or call.api.workspace_parts.default_quota,
    )


async def _clone(call: Call, new: Workspace, selector: str) -> Response:
    rows = call.api.workspace_parts.rows
    source = await call.api.workspaces.visible(selector, call.key)
    if await rows.get(new.name) is not None:
        raise _exists(new)
    asked = {
        "clone": new.id,
        "name": new.name,
        "image": new.image or source.image,
        "ttl_ms": None if new.ttl is None else new.ttl // _MILLISECOND,
        "quota_bytes": new.quota_bytes,
    }
    done = await change(call, source, "workspace.clone", asked, WorkspaceMode.COPY)
    if isinstance(done, Response):
        return done
    return await _created(call, await call.api.workspaces.visible(new.id, call.key))


async def _created(call: Call, made: Workspace) -> Response:
    answer = shown(await workspace_answer(call.api, made), 201)
    answer.headers["Location"] = f"/v1/workspaces/{made.id}"
    return answer


def _exists(new: Workspace) -> Rejected:
    message = f"There is a workspace {new.name} already; use it, or choose another name."
    return Rejected(409, "workspace_exists", message)
