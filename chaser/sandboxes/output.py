"""A run's output on its way to the store: masked, numbered, bounded, in the order in which it was read.

Little is held in memory: what a write under way cannot take waits in `chaser.sandboxes.backlog`. Up to `keep_bytes` all is
kept; of what comes after, the last `tail_bytes`, with a frame before them that counts what is left out. With each write
goes how far in the sandbox's own pipes that is, so that another process can go on at the byte where this one stopped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Fence, Progress
from chaser.sandboxes.backlog import Backlog
from chaser.sandboxes.ending import StepRun
from chaser.sandboxes.lane import Lane
from chaser.sandboxes.pieces import Piece, Pieces

log = structlog.stdlib.get_logger()

BATCH: Final = 2 * 1024 * 1024
"""Bytes that one write takes at the most."""
RETRY: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries while the store does not answer; the last one is repeated."""
NOTHING: Final = Progress()

Append = Callable[[Sequence[Frame], Progress], Awaitable[Fence]]


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
        append: Append,
        spool: Path,
        *,
        start: Progress = NOTHING,
        attempt: int = 1,
        on_flood: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        """`start` is how far another process has come with this sandbox; for a new one, its `seq` is the job's last
        frame's. `append` may be given no frames, where only the steps have changed."""
        self._limits = limits
        self._secrets = secrets
        self._clock = clock
        self._append = append
        self._on_flood = on_flood
        self._on_lost = on_lost
        self._attempt = attempt
        self._progress = start
        self._most_seq = start.seq + limits.frames
        self._lanes: dict[int, Lane] = {}
        self._pending = Backlog(spool, limits.memory_bytes)
        self._kept_bytes = start.kept_bytes
        self._tail: Pieces | None = None
        """What comes after the part that is kept; none while that goes on."""
        self._tail_ends: dict[int, int] = {}
        self._tail_step = 0
        self._skipped = 0
        self._steps = start.steps
        self._news = False
        self._more = asyncio.Event()
        self._closing = False
        self._flooded = False
        self._lost = False
        self.total_bytes = start.kept_bytes + start.skipped_bytes
        """Bytes of output so far, kept and left out, as they are shown: secret values as their masks."""
        self._printed_bytes = 0
        self._writer = asyncio.create_task(self._write(), name="output")

    def take(self, piece: Piece) -> None:
        """Output, with its place in its pipe. What `start` counts already is passed over."""
        self._printed_bytes += len(piece.data)
        for part in self._lane(piece.pipe).take(piece):
            self._keep(part)
        flood = self._limits.kill_bytes
        if flood is not None and self._printed_bytes > flood and not self._flooded:
            self._flooded = True
            self._on_flood()

    def part(self, pipe: int) -> None:
        """A step has ended on this pipe: nothing that was held back can go on after it."""
        if pipe in self._lanes:
            for part in self._lanes[pipe].finish():
                self._keep(part)

    def gap(self, step: int, at: datetime) -> None:
        """Here may be output that nobody can tell any more."""
        for pipe in self._lanes:
            self.part(pipe)
        if self._tail is None:  # else the gap before the tail stands for this one too
            self._queued(Piece(Stream.GAP, b"", at, 0, 0, step))

    def note(self, steps: tuple[StepRun, ...], *, soon: bool) -> None:
        """What is known of the steps has changed. It is written with the next frames, or soon, whether any come or not."""
        self._steps = steps
        if soon:
            self._news = True
            self._more.set()

    async def close(self) -> None:
        """Write all that is left, the tail too."""
        for pipe in self._lanes:
            self.part(pipe)
        self._closing = True
        self._more.set()
        await self._writer

    def abandon(self) -> None:
        """Write no more: all is written, or the row belongs to somebody else now."""
        self._writer.cancel()
        self._pending.close()

    def _lane(self, pipe: int) -> Lane:
        if pipe not in self._lanes:
            start = self._progress
            self._lanes[pipe] = Lane(
                self._secrets.values(), start.offsets.get(pipe, 0), start.covered.get(pipe, 0)
            )
        return self._lanes[pipe]

    def _keep(self, piece: Piece) -> None:
        if self._lost:
            return  # nobody writes it any more
        self.total_bytes += len(piece.data)
        head, rest = piece.cut(self._space())
        if head is not None and not self._queued(head):
            rest = piece
        if rest is not None:
            self._leave_out(rest)

    def _space(self) -> int:
        """Bytes that are still kept before the middle is left out."""
        if self._tail is not None or self._progress.seq >= self._most_seq:
            return 0
        return max(0, self._limits.keep_bytes - self._kept_bytes)

    def _queued(self, piece: Piece) -> bool:
        """Put it in line for the store; false where the disk has no room for it: it is counted as left out."""
        try:
            self._pending.append(piece)
        except OSError as error:
            log.warning("No room to keep more of a run's output.", action="output_cut", error=str(error))
            return False
        self._kept_bytes += len(piece.data)
        self._more.set()
        return True

    def _leave_out(self, piece: Piece) -> None:
        """Hold it as part of the tail. Its place is not written before the end: until then the tail is in memory only,
        and whoever takes over makes it anew."""
        if self._tail is None:
            self._tail, self._tail_step = Pieces(), piece.step
        self._tail.append(piece)
        self._tail_ends[piece.pipe] = piece.end
        self._skipped += self._tail.shorten(self._limits.tail_bytes)

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._pending or self._news:
                if not await self._stored(self._pending.take(BATCH)):
                    return
            if self._closing:
                break
        await self._write_tail()

    async def _write_tail(self) -> None:
        """At once, and with the places of all that was left out: nobody may write it again."""
        if self._tail is None:
            return
        gap = Piece(Stream.GAP, b"", self._clock.now(), 0, 0, self._tail_step)
        pieces = [gap] * bool(self._skipped) + self._tail.take(self._tail.weight)
        await self._stored(pieces, self._skipped, self._tail_ends)

    async def _stored(
        self, pieces: list[Piece], skipped: int = 0, ends: Mapping[int, int] | None = None
    ) -> bool:
        """Write, trying again for as long as the store does not answer; false if the row is no longer ours."""
        self._news = False
        frames = [self._frame(number, piece, skipped) for number, piece in enumerate(pieces, 1)]
        progress = self._after(pieces, skipped, ends or {})
        tries = 0
        while True:
            try:
                fence = await self._append(frames, progress)
            except Unavailable:
                await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                tries += 1
                continue
            if fence is Fence.LOST:
                self._lost = True
                self._on_lost()
                return False
            self._progress = progress
            return True

    def _frame(self, number: int, piece: Piece, skipped: int) -> Frame:
        skipped = skipped if piece.stream is Stream.GAP else 0
        seq = self._progress.seq + number
        return Frame(seq, piece.stream, piece.at, piece.data, skipped, piece.step, self._attempt)

    def _after(self, pieces: Sequence[Piece], skipped: int, ends: Mapping[int, int]) -> Progress:
        """The progress when these pieces are stored too."""
        before = self._progress
        printed = [piece for piece in pieces if piece.stream is not Stream.GAP]
        return replace(
            before,
            offsets={**before.offsets, **ends, **{piece.pipe: piece.end for piece in printed}},
            covered={
                **before.covered,
                **dict.fromkeys(ends, 0),
                **{piece.pipe: piece.covered for piece in printed},
            },
            seq=before.seq + len(pieces),
            kept_bytes=before.kept_bytes + sum(len(piece.data) for piece in printed),
            skipped_bytes=before.skipped_bytes + skipped,
            at=printed[-1].at if printed else before.at,
            steps=self._steps,
        )
