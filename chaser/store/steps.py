"""Changes of a job's state, each with its line of history: what one statement does to the row, the same one records.

So it is on PostgreSQL, where it costs one round trip. SQLite writes nothing within a WITH, but has no round trips: there it
is two statements, and the transaction around them makes them one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Select,
    Update,
    bindparam,
    insert,
    literal_column,
    select,
)

from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.store.job_rows import AnyRow
from chaser.store.tables import jobs, transitions

_LINE = insert(transitions)


class Step:
    """`change` writes jobs' rows, and counts their `history` on; `came_from` is the state that they were in before.

    `tells` is what other processes are told of each row, one of `chaser.store.notices`; none: nothing.
    """

    def __init__(
        self,
        change: Insert | Update,
        came_from: ColumnElement[Any],
        *columns: ColumnElement[Any],
        tells: Callable[[FromClause], ColumnElement[Any]] | None = None,
    ) -> None:
        own = (jobs.c.id, jobs.c.history, jobs.c.attempt, jobs.c.status, jobs.c.ready)
        wanted = (*own, *(column for column in columns if column.name not in {each.name for each in own}))
        self._change = change.returning(*wanted, came_from.label("came_from"))
        self._whole = self._with_line([column.name for column in columns] or ["id"], tells)

    def take(
        self,
        connection: Connection,
        values: Mapping[str, object],
        at: datetime,
        reason: Reason | None = None,
        message: str | None = None,
    ) -> Sequence[AnyRow]:
        """The rows that were changed, as they are afterwards; `at`, `reason` and `message` are for the history."""
        if connection.dialect.name == "postgresql":
            line = {"line_at": at, "line_reason": reason, "line_message": message}
            return connection.execute(self._whole, {**values, **line}).all()
        rows = connection.execute(self._change, values).all()
        for row in rows:
            connection.execute(_LINE, {**_of(row), "at": at, "reason": reason, "message": message})
        return rows

    def _with_line(
        self, columns: Sequence[str], tells: Callable[[FromClause], ColumnElement[Any]] | None
    ) -> Select[*tuple[Any, ...]]:
        changed = self._change.cte("changed")
        told = [] if tells is None else [tells(changed)]
        of_line = transitions.c
        line = insert(transitions).from_select(
            ["job_id", "seq", "attempt", "from_status", "to_status", "at", "reason", "message"],
            select(
                changed.c.id,
                changed.c.history,
                changed.c.attempt,
                changed.c.came_from,
                changed.c.status,
                bindparam("line_at", type_=of_line.at.type),
                bindparam("line_reason", type_=of_line.reason.type),
                bindparam("line_message", type_=of_line.message.type),
            ),
        )
        return select(*(changed.c[name] for name in columns), *told).add_cte(line.cte("line"))


def was(status: Status) -> ColumnElement[str]:
    """Written out: a partial index serves no query whose condition is a parameter."""
    return literal_column(f"'{status.value}'")


def _of(row: AnyRow) -> dict[str, object]:
    return {
        "job_id": row.id,
        "seq": row.history,
        "attempt": row.attempt,
        "from_status": row.came_from,
        "to_status": row.status,
    }
