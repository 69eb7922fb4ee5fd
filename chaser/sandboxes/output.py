"""A run's output on its way to the store: masked, numbered, bounded, in the order in which it was read.

Little is held in memory: what a write under way cannot take waits in `chaser.sandboxes.backlog`. Up to `keep_bytes` all is
kept; of what comes after, the last `tail_bytes`, with a frame before them that counts what is left out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.jobs.ports import Fence, Frame, Stream
from chaser.sandboxes.backlog import Backlog
from chaser.sandboxes.masking import Masker
from chaser.sandboxes.pieces import Pieces

log = structlog.stdlib.get_logger()

BATCH: Final = 2 * 1024 * 1024
"""Bytes that one write takes at the most."""
RETRY: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries while the store does not answer; the last one is repeated."""


@dataclass(frozen=True, slots=True)
class OutputLimits:
    keep_bytes: int = 100 * 1024 * 1024
    tail_bytes: int = 1024 * 1024
    memory_bytes: int = 4 * 1024 * 1024
    """How much may wait for the store in memory; what is beyond waits in a file."""
    frames: int = 1_000_000
    """How many frames are kept at the most: streams that alternate byte by byte make one of each byte."""
    kill_bytes: int | None = None
    """How much a run may print before `on_flood` is called; none: without end."""


class Output:
    """Takes pieces on the event loop and never makes their sender wait; a task of its own writes them."""

    def __init__(
        self,
        limits: OutputLimits,
        secrets: Mapping[str, str],
        clock: Clock,
        append: Callable[[Sequence[Frame]], Awaitable[Fence]],
        spool: Path,
        *,
        on_flood: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._limits = limits
        self._secrets = secrets
        self._clock = clock
        self._append = append
        self._on_flood = on_flood
        self._on_lost = on_lost
        self._maskers: dict[Stream, Masker] = {}
        self._pending = Backlog(spool, limits.memory_bytes)
        self._full = False
        self._kept_bytes = 0
        self._tail = Pieces()
        self._skipped = 0
        self._seq = 0
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._flooded = False
        self._lost = False
        self.total_bytes = 0
        """Bytes of output so far, kept and left out, as they are shown: secret values as their masks."""
        self._printed_bytes = 0
        self._writer = asyncio.create_task(self._write(), name="output")

    def take(self, stream: Stream, data: bytes) -> None:
        self._printed_bytes += len(data)
        masker = self._masker(stream)
        self._keep(stream, masker.feed(data) if masker else data)
        flood = self._limits.kill_bytes
        if flood is not None and self._printed_bytes > flood and not self._flooded:
            self._flooded = True
            self._on_flood()

    async def room(self) -> None:
        """Until no more than a little waits to be written: for a sender that can be made to wait (the engine's log)."""
        await self._room.wait()

    async def close(self) -> None:
        """Write all that is left, the tail too."""
        for stream, masker in self._maskers.items():
            self._keep(stream, masker.finish())
        self._closing = True
        self._more.set()
        await self._writer

    def abandon(self) -> None:
        """Write no more: all is written, or the row belongs to somebody else now."""
        self._writer.cancel()
        self._pending.close()

    def _masker(self, stream: Stream) -> Masker | None:
        if not self._secrets:
            return None
        if stream not in self._maskers:
            self._maskers[stream] = Masker(self._secrets.values())
        return self._maskers[stream]

    def _keep(self, stream: Stream, data: bytes) -> None:
        if self._lost:
            return  # nobody writes it any more
        self.total_bytes += len(data)
        head = data[: self._space()]
        if head and not self._queued(stream, head):
            self._full, head = True, b""
        if rest := data[len(head) :]:
            self._tail.append(stream, rest)
            self._skipped += self._tail.shorten(self._limits.tail_bytes)

    def _space(self) -> int:
        """Bytes that are still kept before the middle is left out."""
        if self._full or self._seq >= self._limits.frames:
            return 0
        return self._limits.keep_bytes - self._kept_bytes

    def _queued(self, stream: Stream, data: bytes) -> bool:
        """Put it in line for the store; false where the disk has no room for it: it is counted as left out."""
        try:
            self._pending.append(stream, data)
        except OSError as error:
            log.warning("No room to keep more of a run's output.", action="output_cut", error=str(error))
            return False
        self._kept_bytes += len(data)
        self._more.set()
        if self._pending.spilled:
            self._room.clear()
        return True

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._pending:
                if not await self._stored(self._frames(self._pending.take(BATCH))):
                    return
            if self._closing:
                break
        await self._write_tail()

    async def _write_tail(self) -> None:
        if self._skipped:
            self._seq += 1
            gap = Frame(self._seq, Stream.GAP, self._clock.now(), b"", self._skipped)
            if not await self._stored([gap]):
                return
        if self._tail:
            await self._stored(self._frames(self._tail.take(self._tail.weight)))

    def _frames(self, pieces: Sequence[tuple[Stream, bytes]]) -> Sequence[Frame]:
        now = self._clock.now()
        first = self._seq + 1
        self._seq += len(pieces)
        if not self._pending.spilled:
            self._room.set()
        return [Frame(first + index, stream, now, data) for index, (stream, data) in enumerate(pieces)]

    async def _stored(self, frames: Sequence[Frame]) -> bool:
        """Write, trying again for as long as the store does not answer; false if the row is no longer ours."""
        tries = 0
        while True:
            try:
                fence = await self._append(frames)
            except Unavailable:
                await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                tries += 1
                continue
            if fence is Fence.LOST:
                self._lost = True
                self._room.set()
                self._on_lost()
                return False
            return True
