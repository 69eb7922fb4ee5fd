"""Changes of a job's state, each with its line of history: what one statement does to the row, the same one records.

So it is on PostgreSQL, where it costs one round trip. SQLite writes nothing within a WITH, but has no round trips: there the
lines of a transaction are written together, by one more statement at its end.
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
_LINES = "lines of history"
"""Where a connection keeps those of its transaction."""


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
        _keep(connection, [{**_of(row), "at": at, "reason": reason, "message": message} for row in rows])
        return rows

    def take_all(
        self, connection: Connection, values: Sequence[Mapping[str, object]], at: Sequence[datetime]
    ) -> Sequence[AnyRow]:
        """The rows of an insert of many, and when each is made. On SQLite it is one statement, however many they are."""
        if connection.dialect.name == "postgresql" or len(values) == 1:
            pairs = zip(values, at, strict=True)
            return [row for each, moment in pairs for row in self.take(connection, each, moment)]
        rows = connection.execute(self._change, values).all()
        made = dict(zip((each["new_id"] for each in values), at, strict=True))
        _keep(connection, [{**_of(row), "at": made[row.id], "reason": None, "message": None} for row in rows])
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


def _keep(connection: Connection, lines: Sequence[Mapping[str, object]]) -> None:
    connection.info.setdefault(_LINES, []).extend(lines)


def forget_lines(connection: Connection) -> None:
    """Those of a transaction that was undone."""
    connection.info.pop(_LINES, None)


def write_lines(connection: Connection) -> None:
    """What the transaction's steps have left to be written before its end."""
    if lines := connection.info.pop(_LINES, None):
        connection.execute(_LINE, lines)


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
