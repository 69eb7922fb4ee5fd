"""The volumes that sandboxes have: a workspace itself, a throwaway copy of it, or an empty one of the sandbox's own.

All of it is done through the engine, which may be on another machine: see `chaser.sandboxes.tools`.
"""

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import SandboxId, WorkspaceId
from chaser.jobs.insist import insist
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import Engine, OverlayOptions
from chaser.sandboxes.labels import copy_volume, own_volume, volume_name
from chaser.sandboxes.quota import Allowance, watch_volume
from chaser.sandboxes.sizes import Sizes
from chaser.sandboxes.spec import WORKSPACE_PATH, SandboxSpec, WorkspaceMode
from chaser.sandboxes.stop import Stop
from chaser.sandboxes.tar import END, Member, Type, header
from chaser.sandboxes.tools import Tool, Tools, Work
from chaser.sandboxes.workspaces import Workspace, WorkspaceStore

OPEN: Final = 0o777
"""What a new workspace is like: any user of any sandbox may write into it, and clear away what another has left."""

_ROOT: Final = "chaser-root"
_LOWER: Final = "/chaser-lower"
_ENOUGH: Final = 16 * 1024
"""Bytes of an archive in which its first header is, whatever extended attributes come before it."""


class Volumes:
    def __init__(
        self,
        engine: Engine,
        store: WorkspaceStore,
        tools: Tools,
        sizes: Sizes,
        clock: Clock,
        *,
        watch_interval: float,
    ) -> None:
        """`watch_interval`: seconds between two looks at how much a volume holds."""
        self._engine = engine
        self._store = store
        self._tools = tools
        self._sizes = sizes
        self._clock = clock
        self._interval = watch_interval

    async def ready(self, sandbox: SandboxId, spec: SandboxSpec) -> Mapping[str, str]:
        """The volumes that the sandbox is to have, made, by the path at which they are mounted. May be repeated.

        The sandbox is in the store already, so that its own volumes belong to somebody from the first. Raises `Refused`
        with `workspace_not_found`, `workspace_unavailable` or `quota_exceeded`.
        """
        if spec.workspace is None:
            return {WORKSPACE_PATH: await self._empty(sandbox)} if spec.scratch else {}
        workspace = await self.present(spec.workspace.id)
        await self._store.used(workspace.id, self._clock.now())
        match spec.workspace.mode:
            case WorkspaceMode.EXCLUSIVE:
                _check_quota(workspace)
                return {WORKSPACE_PATH: volume_name(workspace.id)}
            case WorkspaceMode.COPY:
                return {WORKSPACE_PATH: await self._copy(sandbox, workspace)}

    def watch(self, sandbox: SandboxId, spec: SandboxSpec, stop: Stop) -> "asyncio.Task[None] | None":
        """A watch over what its volume may hold, to be cancelled at the end; none where nothing is to be watched."""
        name = f"volume of {sandbox}"
        if spec.workspace is not None and spec.workspace.mode is WorkspaceMode.EXCLUSIVE:
            return asyncio.create_task(self._attend(spec.workspace.id, stop), name=name)
        limit = spec.limits.disk_bytes
        if limit is None or (spec.workspace is None and not spec.scratch):
            return None
        advice = f"It wrote {{size}} bytes to {WORKSPACE_PATH}, more than its disk limit of {limit}; raise limits.disk."
        allowance = Allowance(own_volume(sandbox), limit, Reason.DISK_FULL, advice)
        return asyncio.create_task(watch_volume(self._tools, allowance, self._interval, stop), name=name)

    def changed(self, workspace_id: WorkspaceId) -> None:
        """Something has just been changed in it: it is measured when there is time."""
        self._sizes.refresh(workspace_id)

    async def _attend(self, workspace_id: WorkspaceId, stop: Stop) -> None:
        """For as long as a run may change the workspace. Afterwards it is measured."""
        try:
            await self._watch_quota(workspace_id, stop)
            await asyncio.get_running_loop().create_future()
        finally:
            self.changed(workspace_id)

    async def _watch_quota(self, workspace_id: WorkspaceId, stop: Stop) -> None:
        workspace = await insist(lambda: self._store.get(workspace_id))
        if workspace is None or workspace.quota_bytes is None:
            return
        advice = (
            f"The workspace {workspace.name} holds {{size}} bytes, more than its quota of {workspace.quota_bytes}; make room "
            "in it."
        )

        async def sized(size: int) -> None:
            await self._store.sized(workspace_id, size, self._clock.now())

        allowance = Allowance(
            volume_name(workspace_id), workspace.quota_bytes, Reason.QUOTA_EXCEEDED, advice, sized
        )
        await watch_volume(self._tools, allowance, self._interval, stop)

    async def present(self, workspace_id: WorkspaceId) -> Workspace:
        """The workspace, with its volume on this engine. Raises `Refused`."""
        workspace = await self._store.get(workspace_id)
        if workspace is None:
            raise _not_found()
        here = (await self._engine.info()).id
        if workspace.engine_id is None:
            return await self._made(workspace, here)
        if workspace.engine_id != here:
            raise _elsewhere(workspace, here)
        if await self._engine.volume_path(volume_name(workspace.id)) is None:
            message = (
                f"The engine has lost the volume of the workspace {workspace.name}, and its files with it: was it removed "
                f"with `docker volume`? Delete the workspace to begin anew."
            )
            raise Refused(Reason.WORKSPACE_UNAVAILABLE, message)
        return workspace

    async def _made(self, workspace: Workspace, here: str) -> Workspace:
        """Its engine is written down only when the volume can be used: until then each try does all of it again."""
        await self._open(volume_name(workspace.id))
        settled = await self._store.settle(workspace.id, here)
        if settled is None or settled.engine_id != here:
            await self._engine.remove_volume(volume_name(workspace.id))
            raise _not_found() if settled is None else _elsewhere(settled, here)
        return settled

    async def _empty(self, sandbox: SandboxId) -> str:
        await self._open(own_volume(sandbox))
        return own_volume(sandbox)

    async def _open(self, volume: str) -> None:
        """An empty volume that anybody may write to: the engine makes it root's alone."""
        await self._engine.create_volume(self._tools.volume(volume))
        async with self._tools.made(Work({f"/{_ROOT}": volume})) as tool:
            await tool.put("/", self._directories((_ROOT, OPEN, 0, 0)))

    async def _copy(self, sandbox: SandboxId, workspace: Workspace) -> str:
        """An overlay over the workspace. What is written goes to the sandbox's own volume."""
        below, changes = volume_name(workspace.id), own_volume(sandbox)
        await self._engine.create_volume(self._tools.volume(changes))
        work = Work({_LOWER: below, f"/{_ROOT}": changes}, read_only=frozenset({_LOWER}))
        async with self._tools.made(work) as tool:
            like = await _first(tool, _LOWER)
            # The overlay's own directory is like that of its upper layer: it must be as the workspace's is.
            upper = (f"{_ROOT}/upper", like.mode, like.uid, like.gid)
            await tool.put(
                "/", self._directories((_ROOT, 0o700, 0, 0), upper, (f"{_ROOT}/work", 0o700, 0, 0))
            )
        overlay = OverlayOptions(
            lower=await self._path(below),
            upper=await self._path(changes) + "/upper",
            work=await self._path(changes) + "/work",
        )
        await self._engine.create_volume(replace(self._tools.volume(copy_volume(sandbox)), overlay=overlay))
        return copy_volume(sandbox)

    async def _path(self, volume: str) -> str:
        path = await self._engine.volume_path(volume)
        if path is None:
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, f"The engine lost the volume {volume}; try again.")
        return path

    async def _directories(self, *directories: tuple[str, int, int, int]) -> AsyncGenerator[bytes]:
        """A tar of directories: name, mode, user, group."""
        now = int(self._clock.now().timestamp())
        for name, mode, uid, gid in directories:
            yield header(Member(name.encode(), Type.DIRECTORY, mode=mode, mtime=now), uid, gid)
        yield END


async def _first(tool: Tool, path: str) -> tarfile.TarInfo:
    """What the directory `path` itself is like."""
    begin = b""
    async with aclosing(tool.get(path)) as pieces:
        async for piece in pieces:
            begin += piece
            if len(begin) >= _ENOUGH:
                break
    with tarfile.open(fileobj=io.BytesIO(begin)) as tar:
        found = tar.next()
    assert found is not None
    return found


def _check_quota(workspace: Workspace) -> None:
    if workspace.over_quota:
        message = (
            f"The workspace {workspace.name} holds {workspace.size_bytes} bytes, more than its quota of "
            f"{workspace.quota_bytes}. Make room in it: DELETE /v1/workspaces/{workspace.name}/files/{{path}}."
        )
        raise Refused(Reason.QUOTA_EXCEEDED, message)


def _not_found() -> Refused:
    message = "The workspace was deleted before the job began; name another, or make it anew."
    return Refused(Reason.WORKSPACE_NOT_FOUND, message)


def _elsewhere(workspace: Workspace, here: str) -> Refused:
    message = (
        f"The workspace {workspace.name} is on another engine ({workspace.engine_id}) than this service uses ({here}). Point "
        "the service back to that one, or use another workspace."
    )
    return Refused(Reason.WORKSPACE_UNAVAILABLE, message)
