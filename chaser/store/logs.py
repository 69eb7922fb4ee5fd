"""The output of jobs, in numbered frames: `chaser.jobs.ports.LogStore`."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, func, insert, select

from chaser.ids import JobId
from chaser.jobs.ports import Claim, Fence, Frame, Stream
from chaser.store.database import Database
from chaser.store.fence import hold
from chaser.store.tables import log_frames

_PAGE = 256
"""How many frames' sizes are asked for at once; a size is read without its data."""

_INSERT = insert(log_frames)


class Logs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, claim: Claim, frames: Sequence[Frame]) -> Fence:
        return await self._database.write(lambda connection: _append(connection, claim, frames))

    async def read(self, job_id: JobId, after: int, limit_bytes: int) -> Sequence[Frame]:
        return await self._database.read(lambda connection: _read(connection, job_id, after, limit_bytes))

    async def ends(self, job_id: JobId, half_bytes: int) -> tuple[Sequence[Frame], Sequence[Frame]]:
        return await self._database.read(lambda connection: _ends(connection, job_id, half_bytes))


def _append(connection: Connection, claim: Claim, frames: Sequence[Frame]) -> Fence:
    fence = hold(connection, claim)
    if fence is Fence.HELD and frames:
        connection.execute(
            _INSERT,
            [
                {
                    "job_id": claim.job.id,
                    "seq": frame.seq,
                    "stream": frame.stream.value,
                    "at": frame.at,
                    "skipped": frame.skipped,
                    "data": frame.data,
                }
                for frame in frames
            ],
        )
    return fence


def _read(connection: Connection, job_id: JobId, after: int, limit_bytes: int) -> Sequence[Frame]:
    last, total = after, 0
    for seq, size in _sizes(connection, job_id, after):
        total += size
        if total > limit_bytes and last > after:
            break
        last = seq
    return _between(connection, job_id, after, last)


def _ends(connection: Connection, job_id: JobId, half_bytes: int) -> tuple[Sequence[Frame], Sequence[Frame]]:
    head = _covering(_sizes(connection, job_id, 0), half_bytes)
    head_end = head[-1] if head else 0
    tail = _covering(_sizes(connection, job_id, head_end, backwards=True), half_bytes)
    first = _between(connection, job_id, 0, head_end)
    return first, _between(connection, job_id, tail[-1] - 1, tail[0]) if tail else []


def _covering(sizes: Iterator[tuple[int, int]], wanted: int) -> list[int]:
    """The first of the frames, as many as it takes to hold `wanted` bytes."""
    taken: list[int] = []
    for seq, size in sizes:
        if wanted <= 0:
            break
        taken.append(seq)
        wanted -= size
    return taken


def _sizes(
    connection: Connection, job_id: JobId, after: int, *, backwards: bool = False
) -> Iterator[tuple[int, int]]:
    """Number and size of the frames beyond `after`, a page at a time, without reading their data."""
    seq = log_frames.c.seq
    query = (
        select(seq, func.length(log_frames.c.data))
        .where(log_frames.c.job_id == job_id, seq > after)
        .order_by(seq.desc() if backwards else seq)
        .limit(_PAGE)
    )
    page = connection.execute(query).all()
    while page:
        yield from page
        last = page[-1][0]
        page = connection.execute(query.where(seq < last if backwards else seq > last)).all()


def _between(connection: Connection, job_id: JobId, after: int, last: int) -> Sequence[Frame]:
    rows = connection.execute(
        select(log_frames)
        .where(log_frames.c.job_id == job_id, log_frames.c.seq > after, log_frames.c.seq <= last)
        .order_by(log_frames.c.seq)
    )
    return [
        Frame(seq=row.seq, stream=Stream(row.stream), at=row.at, data=row.data, skipped=row.skipped)
        for row in rows
    ]
