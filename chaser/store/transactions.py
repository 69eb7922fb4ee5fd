"""One transaction is one plain function. There is no `await` inside, so none is ever held open by the event loop."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from chaser.store.outages import conflict, outage, undone
from chaser.store.steps import forget_lines, write_lines

T = TypeVar("T")


def transact(
    engine: Engine, work: Callable[[Connection], T], *, again: bool = True, single: bool = False
) -> T:
    """Run `work` in a transaction of its own, in this thread. Raises `Unavailable`.

    `single`: `engine` commits each statement by itself.
    """
    committing = single
    try:
        with engine.begin() as connection:
            forget_lines(connection)
            result = work(connection)
            write_lines(connection)
            committing = True
        return result
    except DBAPIError as error:
        # Before the commit nothing has happened yet; while it is under way, nobody knows.
        if again and (conflict(error) or (not committing and undone(error))):
            return transact(engine, work, again=False, single=single)
        fault = outage(error)
        if fault is None:
            raise
        raise fault from error
