"""Containers and volumes that carry this installation's label and that no row knows: a creation that came through after
its deadline, a workspace whose deletion was cut off. Looked for by the label, at the start and every minute."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from chaser.errors import Unavailable
from chaser.ids import InstanceId, SandboxId
from chaser.sandboxes.engine import Engine
from chaser.sandboxes.labels import owners
from chaser.sandboxes.removals import Removals

log = structlog.stdlib.get_logger()

EVERY = 60.0
"""Seconds. Nothing tells of an orphan, and there are next to none."""


class Orphans:
    """`living` says which of these sandboxes have a row that is not marked as gone; `kept`, which of these workspaces and
    snapshots there are."""

    def __init__(
        self,
        engine: Engine,
        instance: InstanceId,
        living: Callable[[Collection[SandboxId]], Awaitable[frozenset[SandboxId]]],
        kept: Callable[[Collection[str]], Awaitable[frozenset[str]]],
        removals: Removals,
    ) -> None:
        self._engine = engine
        self._instance = instance
        self._living = living
        self._kept = kept
        self._removals = removals

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
                await self.sweep_volumes()
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

    async def sweep_volumes(self) -> int:
        """The same with volumes, which have their owners' rows before they are made, and lose them before they go."""
        belonging = {
            name: ids for name in await self._engine.volumes(self._instance) if (ids := owners(name))
        }
        every = frozenset[str]().union(*belonging.values())
        if not every:
            return 0
        sandboxes = frozenset(SandboxId(each) for each in every if each.startswith("sbx_"))
        known = await self._kept(every) | await self._living(sandboxes)
        orphans = [name for name, ids in belonging.items() if not ids & known]
        for name in orphans:
            await self._remove(name)
        return len(orphans)

    async def _remove(self, volume: str) -> None:
        log.warning("Removing a volume that nobody knows.", action="orphan", volume=volume)
        try:
            await self._engine.remove_volume(volume)
        except Unavailable as error:
            log.warning("It is not removed yet.", action="orphan_later", volume=volume, error=error.message)
