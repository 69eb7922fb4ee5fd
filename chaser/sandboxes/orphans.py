"""Containers that carry this installation's label and that no row knows as living: a creation that came through after
its deadline, a database that was restored from a backup. Looked for by the label, at the start and every minute."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from chaser.errors import Unavailable
from chaser.ids import InstanceId, SandboxId
from chaser.sandboxes.engine import Engine
from chaser.sandboxes.removals import Removals

log = structlog.stdlib.get_logger()

EVERY = 60.0
"""Seconds. Nothing tells of an orphan, and there are next to none."""


class Orphans:
    """`living` says which of these sandboxes have a row that is not marked as gone."""

    def __init__(
        self,
        engine: Engine,
        instance: InstanceId,
        living: Callable[[Collection[SandboxId]], Awaitable[frozenset[SandboxId]]],
        removals: Removals,
    ) -> None:
        self._engine = engine
        self._instance = instance
        self._living = living
        self._removals = removals

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("Cannot look for orphans yet.", action="orphans_later", error=error.message)
            await asyncio.sleep(EVERY)

    async def sweep(self) -> int:
        """Remove what nobody knows; returns how many there were.

        The containers are listed before the rows are asked for: a row is written before its container is made, so
        one that is listed and has no living row will never get one.
        """
        present = [sandbox for _, sandbox in await self._engine.sandboxes(self._instance)]
        orphans = set(present) - await self._living(present) if present else set[SandboxId]()
        for sandbox in orphans:
            log.warning("Removing a sandbox that nobody knows.", action="orphan", sandbox_id=sandbox)
            await self._removals.removed(sandbox)
        return len(orphans)
