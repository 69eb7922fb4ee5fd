"""Removes sandboxes in the background, until the engine confirms each: the answer to a client need not wait for it.

A sandbox is gone when its own volumes are gone too: they bear its name, so that they are found whatever has crashed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import SandboxId
from chaser.sandboxes.engine import ContainerId, Engine
from chaser.sandboxes.labels import container_name, copy_volume, own_volume
from chaser.sandboxes.traffic import Traffic

log = structlog.stdlib.get_logger()

AT_ONCE = 4
"""More removals at the same time only make starts slower: they compete for the engine's locks and the cores."""

LONGEST_WAIT = 5.0
"""Seconds for which a removal gives way to starts."""


class Removals:
    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        gone: Callable[[SandboxId, datetime], Awaitable[None]],
        traffic: Traffic,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._gone = gone
        self._traffic = traffic
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[SandboxId, asyncio.Task[None]] = {}

    def remove(self, sandbox: SandboxId, *, at_once: bool = False) -> None:
        """See to it that the sandbox goes, whether it was created or only named; `at_once` where it is in others' way."""
        if sandbox not in self._tasks:
            work = self.removed(sandbox) if at_once else self._later(sandbox)
            task = asyncio.create_task(work, name=f"remove {sandbox}")
            self._tasks[sandbox] = task
            task.add_done_callback(lambda _: self._tasks.pop(sandbox))

    @property
    def under_way(self) -> Collection[SandboxId]:
        """What is to be removed and has not gone yet."""
        return self._tasks.keys()

    async def _later(self, sandbox: SandboxId) -> None:
        await self._traffic.lull(LONGEST_WAIT)
        await self.removed(sandbox)

    async def removed(self, sandbox: SandboxId) -> None:
        """Remove it, and record that it is gone. Tries for as long as the engine or the store is away."""
        pause = 0.5
        while True:
            try:
                async with self._slots:
                    # A name serves as an id, and is known even where creation was cut off.
                    await self._engine.remove(ContainerId(container_name(sandbox)))
                    # The copy first: it lies over the other.
                    await self._engine.remove_volume(copy_volume(sandbox))
                    await self._engine.remove_volume(own_volume(sandbox))
                await self._gone(sandbox, self._clock.now())
            except Unavailable as error:
                log.warning(
                    "A sandbox could not be removed yet.",
                    action="remove_later",
                    sandbox_id=sandbox,
                    error=error.message,
                )
            else:
                return
            await asyncio.sleep(pause)
            pause = min(30.0, pause * 2)

    async def drain(self, seconds: float) -> None:
        """Let what is under way finish, for so long; the next start sweeps the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=seconds)
        for task in self._tasks.values():
            task.cancel()
