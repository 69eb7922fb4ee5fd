"""Who has ended: one event stream for all of an instance's containers, and a look at each at every (re)connection.

Docker forgets all but its last 256 events, so a lost connection may hide an exit; the look finds it.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

import structlog
from docker.errors import APIError

from chaser.errors import Unavailable
from chaser.sandboxes.engine import ContainerId
from chaser.sandboxes.engines.calls import translated, unavailable

log = structlog.stdlib.get_logger()

OVERLAP = 30
"""Seconds of the past that are asked for again at a reconnection; an exit told twice does no harm."""
LONGEST_PAUSE = 5.0


class EventFeed(Protocol):
    """A running event stream: the ids of containers that ended, and a way to end it from another thread."""

    def __iter__(self) -> Iterator[ContainerId]: ...

    def close(self) -> None: ...


class Exits:
    """Waiters by container. `open_feed` blocks until the engine has answered; `has_ended` asks about one container."""

    def __init__(
        self, open_feed: Callable[[int], EventFeed], has_ended: Callable[[ContainerId], Awaitable[bool]]
    ) -> None:
        self._open_feed = open_feed
        self._has_ended = has_ended
        self._ended: dict[ContainerId, asyncio.Event] = {}
        self._feed: EventFeed | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self.connected = asyncio.Event()
        self.connections = 0
        """How often the stream has been opened."""

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="engine events")

    async def stop(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            if self._feed is not None:
                self._feed.close()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def watch(self, container: ContainerId) -> None:
        """From now on its end is noted. Called before it is started, so that no end is missed."""
        self._ended.setdefault(container, asyncio.Event())

    def forget(self, container: ContainerId) -> None:
        self._ended.pop(container, None)

    async def wait(self, container: ContainerId) -> None:
        if container not in self._ended:
            self.watch(container)
            await self._look(container)
        ended = self._ended.get(container)
        if ended is not None:
            await ended.wait()

    async def _follow(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._one_connection()
                pause = 0.1
            except Unavailable as error:
                log.warning("The engine's event stream is down.", action="events_down", error=error.message)
            self.connected.clear()
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _one_connection(self) -> None:
        loop = asyncio.get_running_loop()
        closed: asyncio.Future[None] = loop.create_future()
        since = int(time.time()) - OVERLAP

        def told(call: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the service has ended
                loop.call_soon_threadsafe(call, *arguments)

        def follow() -> None:
            feed = self._open_feed(since)
            told(self._opened, feed)
            for container in feed:
                told(self._note, container)

        def read() -> None:
            try:
                translated(follow)
            except APIError as error:
                told(_settle, closed, unavailable(error))
            except Unavailable as error:
                told(_settle, closed, error)
            else:
                told(_settle, closed, None)

        threading.Thread(target=read, name="engine events", daemon=True).start()
        await closed

    def _opened(self, feed: EventFeed) -> None:
        if self._stopped:
            feed.close()
            return
        self._feed = feed
        self.connections += 1
        self.connected.set()
        for container in list(self._ended):
            task = asyncio.create_task(self._look(container))
            _LOOKS.add(task)
            task.add_done_callback(_LOOKS.discard)

    async def _look(self, container: ContainerId) -> None:
        try:
            if await self._has_ended(container):
                self._note(container)
        except Unavailable:
            log.warning("Could not look at a container; the next connection will.", container=container)

    def _note(self, container: ContainerId) -> None:
        if container in self._ended:
            self._ended[container].set()


_LOOKS: set[asyncio.Task[None]] = set()
"""asyncio holds tasks weakly; these are held until done."""


def _settle(future: "asyncio.Future[None]", error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
