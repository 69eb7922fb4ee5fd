"""One engine, and all that a launch needs of it."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from chaser.sandboxes.disk_watch import watch_disk
from chaser.sandboxes.engine import ContainerId, Engine
from chaser.sandboxes.images import ImageSource
from chaser.sandboxes.launcher import Launcher
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.spec import Network, SandboxSpec
from chaser.sandboxes.stop import Stop


class Networks(Protocol):
    async def named(self, network: Network) -> str:
        """The engine's name for a network, made ready. Raises `Refused(network_unavailable)` where it cannot be offered."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    engine: Engine
    images: ImageSource
    networks: Networks
    launcher: Launcher
    removals: Removals
    disk_interval: float
    """Seconds between two looks at a sandbox's disk use."""

    async def engine_id(self) -> str:
        return (await self.engine.info()).id

    def disk_watch(
        self, container: ContainerId, spec: SandboxSpec, stop: Stop
    ) -> "asyncio.Task[None] | None":
        """A watch over the sandbox's writable layer, to be cancelled at its end; none where nothing is to be watched."""
        limit = spec.limits.disk_bytes
        if limit is None:
            return None
        watch = watch_disk(self.engine, container, limit, self.disk_interval, stop)
        return asyncio.create_task(watch, name=f"disk of {container[:12]}")
