"""Following a job: its log as it is written, from where it was cut off, to its end."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import httpx

from chaser.cli import document
from chaser.cli.http import Document
from chaser.cli.link import Link
from chaser.cli.piece import Piece, Show

_LONGEST_WAIT_MS = "30000"
_QUIET_SECONDS = 60.0
"""A log that is quiet for so long is asked for again, in case that nobody is there any more."""
_RAW_QUIET_SECONDS = 900.0
"""The same where asking again means reading all from the start."""


def job_path(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"


class FrameLog:
    """A job's log, read frame by frame; it goes on after the last frame that was taken."""

    def __init__(self, link: Link, job: str, take: Callable[[Document], None], after: int = 0) -> None:
        self._link = link
        self._path = f"{job_path(job)}/logs"
        self._take = take
        self._after = after

    async def read(self, *, follow: bool) -> None:
        """To where it is now, or on until the job ends."""

        async def attempt() -> bool:
            try:
                await self._once(follow=follow)
            except httpx.ReadTimeout:
                if not follow:
                    raise
                return False
            return True

        while not await self._link.persist(attempt):
            pass

    async def _once(self, *, follow: bool) -> None:
        query = {"format": "ndjson", "after": str(self._after), "follow": str(follow).lower()}
        async with self._link.stream("GET", self._path, query=query, silence=_QUIET_SECONDS) as response:
            async for line in _lines(response.aiter_bytes()):
                frame = document.parse(line)
                # a line without a frame only says that somebody is there
                if frame:
                    self._take(frame)
                    self._after = document.count(frame.get("seq")) or self._after
                self._link.heard()


async def to_the_end(link: Link, job: str, show: Show) -> Document:
    """The job once it has ended, all of its log having been shown."""
    link.job = job
    log = FrameLog(link, job, lambda frame: show(_piece(frame)))
    while True:
        await log.read(follow=True)
        found = await link.request("GET", job_path(job), query={"wait_ms": _LONGEST_WAIT_MS})
        if found.get("finished_at"):
            # a proxy may have ended the log's answer early, as if it were whole
            await log.read(follow=False)
            return found


def _piece(frame: Document) -> Piece:
    return Piece(
        str(frame.get("stream")),
        str(frame.get("data", "")),
        document.count(frame.get("skipped")),
        document.count(frame.get("step")),
    )


async def ended(link: Link, job: str) -> Document:
    """The job once it has ended."""
    link.job = job
    while True:
        found = await link.request("GET", job_path(job), query={"wait_ms": _LONGEST_WAIT_MS})
        if found.get("finished_at"):
            return found


class RawLog:
    """A job's log byte for byte. The bytes have no numbers, so after a cut it is read again and what was shown is
    passed over."""

    def __init__(self, link: Link, job: str, show: Callable[[bytes], None], after: int = 0) -> None:
        self._link = link
        self._path = f"{job_path(job)}/logs"
        self._show = show
        self._after = after
        self._shown = 0

    async def read(self, *, follow: bool) -> None:
        await self._link.persist(lambda: self._once(follow=follow))

    async def _once(self, *, follow: bool) -> None:
        query = {"format": "text", "after": str(self._after), "follow": str(follow).lower()}
        known = self._shown
        async with self._link.stream("GET", self._path, query=query, silence=_RAW_QUIET_SECONDS) as response:
            async for chunk in response.aiter_bytes():
                fresh = chunk[known:]
                known -= len(chunk) - len(fresh)
                if fresh:
                    self._show(fresh)
                    self._shown += len(fresh)
                self._link.heard()


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines; what is cut off at the end is dropped, and is asked for again."""
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield bytes(line)
