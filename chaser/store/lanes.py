"""Who goes next, where several share the slots: each has a lane, and within a priority the lanes take part in rounds.

Ready jobs start in the order of their priority, round and age. The first job that waits in a lane is in the present round,
which is the lowest of all that wait in lanes; the next in that lane is in the round after. So each lane's first goes before
any lane's second, and who comes late stands beside the first of the others, not behind all that they brought.

A round is a number of microseconds since 1970. Where nobody waits in a lane it is the moment at which the job was made; from
there on rounds are counted, so the present one never lies in the future. A job in no lane is in the present round, or in
that of its moment: among themselves those go by age.

Nothing is kept but the round in the row: a lane is there while a job waits in it. Two transactions that put jobs into one
lane at the same moment may put them into the same round.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, func, select

from chaser.store.columns import rule
from chaser.store.job_tables import IN_LANE
from chaser.store.tables import jobs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_waiting = jobs.alias("waiting")
_priority = bindparam("new_priority", type_=jobs.c.priority.type)
_made = bindparam("new_round", type_=BigInteger())


def _present(priority: ColumnElement[int]) -> ColumnElement[int]:
    """None: nobody waits in a lane."""
    return (
        select(func.min(_waiting.c.round))
        .where(rule(IN_LANE), _waiting.c.priority == priority)
        .correlate(jobs)
        .scalar_subquery()
    )


_LAST = (
    select(func.max(_waiting.c.round))
    .where(
        rule(IN_LANE),
        _waiting.c.lane == bindparam("new_lane", type_=jobs.c.lane.type),
        _waiting.c.priority == _priority,
    )
    .correlate(None)
    .scalar_subquery()
)

OUTSIDE: ColumnElement[int] = func.coalesce(_present(_priority), _made)
"""Of a new job that is in no lane. Bind `new_round` to what `number` makes of the moment at which it was made."""
INSIDE: ColumnElement[int] = func.coalesce(_LAST + 1, _present(_priority), _made)
"""Of a new one in the lane `new_lane`."""
ANEW: ColumnElement[int] = case(
    (jobs.c.lane.is_not(None), func.coalesce(_present(jobs.c.priority), jobs.c.round)), else_=jobs.c.round
)
"""Of one that has waited for its time: it is first in its lane, and does not set all back to its old round."""


def number(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
