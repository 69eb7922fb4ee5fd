"""Jobs that are cancelled when nobody asks for them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select, update

from chaser.ids import JobId
from chaser.store.columns import rule
from chaser.store.job_tables import LEASHED
from chaser.store.moments import NOW, milliseconds
from chaser.store.tables import jobs

_leashed = rule(LEASHED)
_whole = milliseconds(jobs.c.leash_ms)
_longer = milliseconds(jobs.c.leash_ms * 9 // 8)
"""What is written, so that not every asking need be: the leash itself always holds for as long as it says."""
_asked_for = jobs.c.id == bindparam("asked_for")
_SHORT = select(jobs.c.id).where(
    _asked_for,
    _leashed,
    # More than was ever written is left where the clock went backwards.
    or_(jobs.c.leash_until < NOW + _whole, jobs.c.leash_until > NOW + _longer),
)
_ANEW = update(jobs).where(_leashed).values(leash_until=NOW + _longer)
_LENGTHEN = _ANEW.where(_asked_for)
_UNLEASHED = (
    select(jobs.c.id)
    .where(_leashed, jobs.c.leash_until <= NOW, jobs.c.cancel_requested.is_(None))
    .order_by(jobs.c.leash_until)
)


def short(connection: Connection, job_id: JobId, now: datetime | None) -> bool:
    """Whether so much of the leash has run out that it is to be written anew."""
    return connection.execute(_SHORT, {"asked_for": job_id, "now": now}).first() is not None


def lengthen(connection: Connection, job_id: JobId, now: datetime | None) -> None:
    connection.execute(_LENGTHEN, {"asked_for": job_id, "now": now})


def begin_anew(connection: Connection, now: datetime | None) -> None:
    connection.execute(_ANEW, {"now": now})


def unleashed(connection: Connection, now: datetime | None) -> Sequence[JobId]:
    return [JobId(job_id) for job_id in connection.execute(_UNLEASHED, {"now": now}).scalars()]
