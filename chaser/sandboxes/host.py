"""One engine, and all that a launch needs of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chaser.ids import SandboxId
from chaser.sandboxes.disk_watch import watch_disk
from chaser.sandboxes.engine import ContainerId, Engine, Image
from chaser.sandboxes.images import ImageSource
from chaser.sandboxes.launcher import Launcher, Prepared
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.spec import Network, SandboxSpec
from chaser.sandboxes.stop import Stop


class Networks(Protocol):
    async def named(self, network: Network) -> str:
        """The engine's name for a network, made ready. Raises `Refused(network_unavailable)` where it cannot be offered."""
        ...


class Volumes(Protocol):
    async def ready(self, sandbox: SandboxId, spec: SandboxSpec) -> Mapping[str, str]:
        """The volumes that the sandbox is to have, made, by the path at which they are mounted.

        Raises `Refused` with `workspace_not_found`, `workspace_unavailable` or `quota_exceeded`.
        """
        ...

    def watch(self, sandbox: SandboxId, spec: SandboxSpec, stop: Stop) -> "asyncio.Task[None] | None":
        """A watch over what its volume may hold, to be cancelled at the end; none where nothing is to be watched."""
        ...


class Ready(Protocol):
    def take(self, spec: SandboxSpec, image: Image, network: str) -> Prepared | None:
        """A sandbox that was made just so, ahead of its need, and is nobody's any more but the caller's; none: there is
        none. `network` is the engine's name for the spec's."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    engine: Engine
    images: ImageSource
    networks: Networks
    volumes: Volumes
    launcher: Launcher
    removals: Removals
    pool: Ready
    disk_interval: float
    """Seconds between two looks at a sandbox's disk use."""

    async def engine_id(self) -> str:
        return (await self.engine.info()).id

    def watches(
        self, sandbox: SandboxId, container: ContainerId, spec: SandboxSpec, stop: Stop
    ) -> "Sequence[asyncio.Task[None]]":
        """What looks after the sandbox's limits that no engine holds, to be cancelled at its end."""
        found = [self._disk_watch(container, spec, stop), self.volumes.watch(sandbox, spec, stop)]
        return [watch for watch in found if watch is not None]

    def _disk_watch(
        self, container: ContainerId, spec: SandboxSpec, stop: Stop
    ) -> "asyncio.Task[None] | None":
        limit = spec.limits.disk_bytes
        if limit is None:
            return None
        watch = watch_disk(self.engine, container, limit, self.disk_interval, stop)
        return asyncio.create_task(watch, name=f"disk of {container[:12]}")
