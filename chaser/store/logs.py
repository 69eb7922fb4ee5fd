"""The output of jobs, in numbered frames: `chaser.jobs.ports.LogStore`."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from chaser.ids import JobId
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.notices import JobChanged
from chaser.jobs.ports import Claim, Fence, Progress
from chaser.store.database import Database
from chaser.store.fence import hold
from chaser.store.notices import tell
from chaser.store.sandboxes import advance
from chaser.store.tables import log_frames

_PAGE = 256
"""How many frames' sizes are asked for at once; a size is read without its data."""

_INSERT = {
    "sqlite": sqlite.insert(log_frames).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(log_frames).on_conflict_do_nothing(),
}
"""Whoever did not hear that its frames were written writes them again."""
_LAST = select(func.coalesce(func.max(log_frames.c.seq), 0)).where(log_frames.c.job_id == bindparam("of_job"))
_Part = Sequence[ColumnElement[bool]]
"""Which of a job's frames are meant: those for which all of it holds."""


class Logs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, claim: Claim, frames: Sequence[Frame], progress: Progress) -> Fence:
        return await self._database.write(lambda connection: _append(connection, claim, frames, progress))

    async def last_seq(self, job_id: JobId) -> int:
        return await self._database.read(
            lambda connection: connection.execute(_LAST, {"of_job": job_id}).scalar_one()
        )

    async def read(self, job_id: JobId, after: int, limit_bytes: int) -> Sequence[Frame]:
        return await self._database.read(lambda connection: _read(connection, job_id, after, limit_bytes))

    async def ends(
        self, job_id: JobId, half_bytes: int, attempt: int, step: int | None = None
    ) -> tuple[Sequence[Frame], Sequence[Frame]]:
        part = [log_frames.c.attempt == attempt, *([] if step is None else [log_frames.c.step == step])]
        return await self._database.read(lambda connection: _ends(connection, job_id, half_bytes, part))


def _append(connection: Connection, claim: Claim, frames: Sequence[Frame], progress: Progress) -> Fence:
    held = hold(connection, claim)
    if held is Fence.HELD:
        if frames:
            _insert(connection, claim, frames)
        advance(connection, claim, progress)
        tell(connection, [JobChanged(claim.job.id)] if frames else [])
    return held


def _insert(connection: Connection, claim: Claim, frames: Sequence[Frame]) -> None:
    statement = _INSERT[connection.dialect.name]
    inserted = connection.execute(statement, [_values(claim, frame) for frame in frames]).rowcount
    if inserted != len(frames) and frames != _between(
        connection, claim.job.id, frames[0].seq - 1, frames[-1].seq, ()
    ):
        raise ValueError(f"{claim.job.id} has other frames of these numbers: {frames[0].seq} and on")


def _values(claim: Claim, frame: Frame) -> dict[str, object]:
    return {
        "job_id": claim.job.id,
        "seq": frame.seq,
        "stream": frame.stream.value,
        "at": frame.at,
        "skipped": frame.skipped,
        "data": frame.data,
        "step": frame.step,
        "attempt": frame.attempt,
    }


def _read(connection: Connection, job_id: JobId, after: int, limit_bytes: int) -> Sequence[Frame]:
    last, total = after, 0
    for seq, size in _sizes(connection, job_id, after, ()):
        total += size
        if total > limit_bytes and last > after:
            break
        last = seq
    return _between(connection, job_id, after, last, ())


def _ends(
    connection: Connection, job_id: JobId, half_bytes: int, part: _Part
) -> tuple[Sequence[Frame], Sequence[Frame]]:
    head = _covering(_sizes(connection, job_id, 0, part), half_bytes)
    head_end = head[-1] if head else 0
    tail = _covering(_sizes(connection, job_id, head_end, part, backwards=True), half_bytes)
    first = _between(connection, job_id, 0, head_end, part)
    return first, _between(connection, job_id, tail[-1] - 1, tail[0], part) if tail else []


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
    connection: Connection, job_id: JobId, after: int, part: _Part, *, backwards: bool = False
) -> Iterator[tuple[int, int]]:
    """Number and size of the frames beyond `after`, a page at a time, without reading their data."""
    seq = log_frames.c.seq
    query = (
        select(seq, func.length(log_frames.c.data))
        .where(log_frames.c.job_id == job_id, seq > after, *part)
        .order_by(seq.desc() if backwards else seq)
        .limit(_PAGE)
    )
    page = connection.execute(query).all()
    while page:
        yield from page
        last = page[-1][0]
        page = connection.execute(query.where(seq < last if backwards else seq > last)).all()


def _between(connection: Connection, job_id: JobId, after: int, last: int, part: _Part) -> Sequence[Frame]:
    rows = connection.execute(
        select(log_frames)
        .where(log_frames.c.job_id == job_id, log_frames.c.seq > after, log_frames.c.seq <= last, *part)
        .order_by(log_frames.c.seq)
    )
    return [
        Frame(
            seq=row.seq,
            stream=Stream(row.stream),
            at=row.at,
            data=row.data,
            skipped=row.skipped,
            step=row.step,
            attempt=row.attempt,
        )
        for row in rows
    ]
