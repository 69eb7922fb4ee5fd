"""/v1/workspaces/{workspace}/snapshots: make, list, restore, delete."""

import re

from starlette.responses import Response

from chaser.api.body import read_json
from chaser.api.call import Call, shown
from chaser.api.schemas.workspaces import SnapshotAnswer, SnapshotList, SnapshotRequest
from chaser.api.workspace_changes import change
from chaser.api.workspaces import named_workspace
from chaser.errors import Rejected
from chaser.ids import SnapshotId, new_snapshot_id
from chaser.sandboxes.spec import WorkspaceMode
from chaser.sandboxes.workspaces import SNAPSHOT_ID, Snapshot, Workspace

_ID = re.compile(SNAPSHOT_ID)


async def index(call: Call) -> Response:
    """Newest first."""
    workspace = await named_workspace(call)
    found = await call.api.workspace_parts.rows.snapshots(workspace.id)
    return shown(SnapshotList(data=[_answer(each) for each in found]))


async def create(call: Call) -> Response:
    workspace = await named_workspace(call)
    body = await read_json(call.request, call.api.rules)
    wanted = body.parse(SnapshotRequest)
    snapshot_id = new_snapshot_id(call.api.clock.now())
    asked = {"snapshot": snapshot_id, "name": wanted.name}
    done = await change(call, workspace, "workspace.snapshot", asked, WorkspaceMode.COPY)
    if isinstance(done, Response):
        return done
    answer = shown(_answer(await _snapshot(call, workspace, snapshot_id)), 201)
    answer.headers["Location"] = f"/v1/workspaces/{workspace.id}/snapshots/{snapshot_id}"
    return answer


async def restore(call: Call) -> Response:
    workspace = await named_workspace(call)
    snapshot = await _named_snapshot(call, workspace)
    done = await change(call, workspace, "workspace.restore", {"snapshot": snapshot.id})
    return done if isinstance(done, Response) else shown(_answer(snapshot))


async def delete(call: Call) -> Response:
    snapshot = await _named_snapshot(call, await named_workspace(call))
    await call.api.workspace_parts.snapshots.delete(snapshot.id)
    return Response(status_code=204)


async def _named_snapshot(call: Call, workspace: Workspace) -> Snapshot:
    return await _snapshot(call, workspace, call.request.path_params["snapshot"])


async def _snapshot(call: Call, workspace: Workspace, wanted: str) -> Snapshot:
    known = _ID.fullmatch(wanted) is not None
    rows = call.api.workspace_parts.rows
    found = await rows.snapshot(workspace.id, SnapshotId(wanted)) if known else None
    if found is None:
        raise Rejected(404, "snapshot_not_found", "The workspace has no such snapshot; GET its snapshots.")
    return found


def _answer(snapshot: Snapshot) -> SnapshotAnswer:
    return SnapshotAnswer(
        id=snapshot.id,
        workspace_id=snapshot.workspace_id,
        name=snapshot.name,
        created_at=snapshot.created_at,
        size_bytes=snapshot.size_bytes,
    )
