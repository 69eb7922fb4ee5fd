"""The engine's log of one sandbox, read from its first byte into a capture that may have heard a part of it.

The engine knows no offsets, so what has been heard is passed over by counting. Where the log has been cut at its size
limit it does not begin with `READY` and the first mark, and counting means nothing any more: then what was printed
before the last bytes heard is passed over by its time, and the place is marked as a gap.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Final, Protocol

from chaser.errors import Unavailable
from chaser.jobs.ports import Progress
from chaser.sandboxes.boot import READY
from chaser.sandboxes.capture import Capture, Phase
from chaser.sandboxes.engine import STDOUT, Chunk, ContainerId, Engine
from chaser.sandboxes.markers import begin_mark
from chaser.sandboxes.spec import Terms

HEAD: Final = 4096
"""Bytes within which the first mark comes, if it does: before it, a shell may complain of its surroundings."""


class Replay:
    """`offsets` and `until` are how far another process has come, as in `Progress`; they count only in a cut log."""

    def __init__(
        self, capture: Capture, nonce: str, offsets: Mapping[int, int], until: datetime | None
    ) -> None:
        capture.replayed = True
        self._capture = capture
        self._first = READY + begin_mark(nonce, 0)
        self._offsets = offsets
        self._until = capture.heard_at or until
        self._skip = dict(capture.raw)
        self._head: list[Chunk] | None = []
        """What has come before it is known whether the log is whole; none afterwards."""
        self._cut = False

    def feed(self, chunk: Chunk) -> None:
        if self._head is None:
            self._pass(chunk)
            return
        self._head.append(chunk)
        size = sum(len(each.data) for each in self._head)
        if self._first in self._told() or size > HEAD:
            self._decide(cut=self._first not in self._told())

    def finish(self) -> None:
        """The log has ended."""
        if self._head:
            self._decide(cut=self._told() != READY)

    def _told(self) -> bytes:
        return b"".join(each.data for each in self._head or () if each.pipe == STDOUT)

    def _decide(self, *, cut: bool) -> None:
        held, self._head, self._cut = self._head or [], None, cut
        if cut:
            self._capture.jump(self._offsets, held[0].at)
        for chunk in held:
            self._pass(chunk)

    def _pass(self, chunk: Chunk) -> None:
        if self._cut:
            if self._until is None or chunk.at > self._until:
                self._capture.received(chunk.pipe, chunk.data, chunk.at)
            return
        skipped = min(self._skip.get(chunk.pipe, 0), len(chunk.data))
        if skipped:
            self._skip[chunk.pipe] -= skipped
        if skipped < len(chunk.data):
            self._capture.received(chunk.pipe, chunk.data[skipped:], chunk.at)


class Channel(Protocol):
    """What a sandbox is heard by."""

    def close(self) -> None:
        """Hear no more; the capture is told."""
        ...


async def read_log(
    engine: Engine,
    container: ContainerId,
    capture: Capture,
    terms: Terms,
    progress: Progress,
    phase: Phase,
) -> bool:
    """Read the engine's log until `phase`; false if it ends before. It is never paused: an engine that cannot get rid of
    what it reads may throw away what it has not read yet."""
    replay = Replay(capture, terms.nonce, progress.offsets, progress.at)
    async with aclosing(engine.log(container)) as chunks:
        async for chunk in chunks:
            replay.feed(chunk)
            if capture.phase.value >= phase.value:
                return True
    replay.finish()
    return capture.phase.value >= phase.value


class LogChannel:
    """Hears a sandbox by the engine's log, in a task of its own."""

    def __init__(self, reading: Callable[[], Awaitable[bool]], capture: Capture) -> None:
        self._task = asyncio.create_task(_read(reading), name="engine log")
        self._task.add_done_callback(lambda task: capture.disconnected())

    def close(self) -> None:
        self._task.cancel()


async def _read(reading: Callable[[], Awaitable[bool]]) -> None:
    # Whoever still needs the rest reads on, and insists.
    with contextlib.suppress(Unavailable):
        await reading()
