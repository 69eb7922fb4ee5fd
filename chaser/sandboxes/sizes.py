"""Measures workspaces after they were used: in the background, one at a time, giving way to starts, and no more than a
twentieth of the time. Until then the store has the size of before."""

import asyncio
from datetime import timedelta

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import WorkspaceId
from chaser.sandboxes import tool_scripts as scripts
from chaser.sandboxes.labels import volume_name
from chaser.sandboxes.spec import WORKSPACE_PATH
from chaser.sandboxes.tools import Tools, Work
from chaser.sandboxes.traffic import Traffic
from chaser.sandboxes.workspaces import WorkspaceStore

log = structlog.stdlib.get_logger()

SHARE = 20
TIME = timedelta(minutes=10)
LONGEST_WAIT = 30.0
"""Seconds for which a look gives way to starts."""


class Sizes:
    def __init__(self, store: WorkspaceStore, tools: Tools, traffic: Traffic, clock: Clock) -> None:
        self._store = store
        self._tools = tools
        self._traffic = traffic
        self._clock = clock
        self._waiting: dict[WorkspaceId, None] = {}
        self._awake = asyncio.Event()

    def refresh(self, workspace: WorkspaceId) -> None:
        """It has just been used: measure it when there is time."""
        self._waiting[workspace] = None
        self._awake.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._awake.wait()
            await self._traffic.lull(LONGEST_WAIT)
            began = loop.time()
            await self.next()
            await asyncio.sleep((loop.time() - began) * (SHARE - 1))

    async def next(self) -> None:
        """Measure the one that waits longest."""
        workspace = next(iter(self._waiting))
        del self._waiting[workspace]
        if not self._waiting:
            self._awake.clear()
        try:
            await self._measure(workspace)
        except (Unavailable, Refused) as error:
            log.warning(
                "A workspace could not be measured.",
                action="size_unknown",
                workspace_id=workspace,
                error=error.message,
            )

    async def _measure(self, workspace_id: WorkspaceId) -> None:
        await self._store.used(workspace_id, self._clock.now())
        workspace = await self._store.get(workspace_id)
        if workspace is None or workspace.engine_id != await self._tools.engine_id():
            return
        volumes = {WORKSPACE_PATH: volume_name(workspace_id)}
        async with self._tools.made(
            Work(volumes, scripts.SIZE, read_only=frozenset({WORKSPACE_PATH}))
        ) as tool:
            result = await tool.run(TIME)
        # It says that names went away while it counted by another status, and has counted the rest.
        if result.output.strip():
            await self._store.sized(workspace_id, scripts.sized(result.output), self._clock.now())
