"""The wired service's life: its loops, its HTTP server, and how all of it stops."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from chaser.errors import Unavailable
from chaser.jobs.dispatcher import Dispatcher
from chaser.jobs.lease import Lease
from chaser.jobs.reaper import Reaper
from chaser.sandboxes.engine import EngineInfo
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.networks import EngineNetworks
from chaser.sandboxes.orphans import Orphans
from chaser.sandboxes.removals import Removals
from chaser.space import FreeSpace

log = structlog.stdlib.get_logger("chaser")

GRACE = 10
"""Seconds that open connections get to end when the service stops; runs do not count, they outlive it."""


@dataclass(frozen=True, slots=True)
class Service:
    """The wired parts that have a life of their own. `stopping` is set when the service begins to stop."""

    engine: DockerEngine
    networks: EngineNetworks
    removals: Removals
    lease: Lease
    dispatcher: Dispatcher
    reaper: Reaper
    orphans: Orphans
    space: FreeSpace
    stopping: asyncio.Event
    others: Mapping[str, Callable[[], Coroutine[None, None, None]]]
    """More loops, by name: those that nothing else depends on."""


class Server(uvicorn.Server):
    """Tells the service that it is stopping before it waits for its connections."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)
        # uvicorn raises what it has captured again once it has ended, which would end the process before the rest has
        self._captured_signals.clear()


async def run(service: Service, server: Server) -> int:
    """Serve, with the loops beside it. A loop that ends by a defect ends the service, so that it is started anew."""
    service.engine.start()
    await service.lease.take()
    loops = [
        asyncio.create_task(service.lease.keep(), name="lease"),
        asyncio.create_task(service.dispatcher.run(), name="dispatcher"),
        asyncio.create_task(service.reaper.watch(), name="reaper"),
        asyncio.create_task(service.networks.watch(), name="networks"),
        asyncio.create_task(_watch_engine_disk(service), name="engine disk"),
        asyncio.create_task(service.orphans.watch(), name="orphans"),
        *(asyncio.create_task(loop(), name=name) for name, loop in service.others.items()),
    ]
    broken: list[str] = []

    def ended(loop: "asyncio.Task[None]") -> None:
        if not loop.cancelled() and (error := loop.exception()) is not None:
            log.critical(
                "A loop has broken; the service stops.",
                action="loop_broken",
                loop=loop.get_name(),
                exc_info=error,
            )
            broken.append(loop.get_name())
            server.handle_exit(signal.SIGTERM, None)

    for loop in loops:
        loop.add_done_callback(ended)
    try:
        await server.serve(sockets=[listening(server.config)])
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await service.dispatcher.stop()
        await service.lease.end()
        await service.removals.drain(GRACE)
        await service.networks.retire()
    return 1 if broken or not server.started else 0


def listening(config: uvicorn.Config) -> socket.socket:
    """Connections take these over: a client that has vanished without a word is found out within half a minute, so that it
    holds no run and no leash for ever; and no answer's body waits until its head is acknowledged, which takes 40 ms (asyncio
    sees to that only for sockets that it has made itself)."""
    bound = config.bind_socket()
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    return bound


async def _watch_engine_disk(service: Service) -> None:
    info = await _info(service.engine)
    if info.local:
        service.space.watch(Path(info.root_dir))


async def _info(engine: DockerEngine) -> EngineInfo:
    while True:
        with contextlib.suppress(Unavailable):
            return await engine.info()
        await asyncio.sleep(1)
