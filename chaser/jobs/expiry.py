"""Deletes the workspaces that have not been used for as long as they were made for. What is in use stays."""

import asyncio

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.jobs.deletion import Deletions
from chaser.sandboxes.workspaces import WorkspaceStore

log = structlog.stdlib.get_logger()

EVERY = 60.0
"""Seconds; a workspace's time is counted in hours or days."""


class Expiry:
    def __init__(self, store: WorkspaceStore, deletions: Deletions, clock: Clock) -> None:
        self._store = store
        self._deletions = deletions
        self._clock = clock

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("Cannot look for expired workspaces.", action="expiry_later", error=error.message)
            await asyncio.sleep(EVERY)

    async def sweep(self) -> None:
        now = self._clock.now()
        for workspace in await self._store.expired(now):
            await self._deletions.delete(workspace, expired_at=now)
