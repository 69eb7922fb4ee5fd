"""Which errors of a database mean "try again later". By code and type, never by text; anything else is a defect."""

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError

from chaser.errors import Unavailable
from chaser.jobs.reason import Reason

RETRY_AFTER = 5.0

_LOOK = "see `chaser doctor`"
_SQLITE = {
    sqlite3.SQLITE_FULL: "The disk that holds the database is full: free some space.",
    sqlite3.SQLITE_IOERR: f"The disk that holds the database reports an error: {_LOOK}.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened: check its folder, its owner and its mode.",
    sqlite3.SQLITE_PERM: "The database file may not be used: check its owner and its mode.",
    sqlite3.SQLITE_READONLY: "The database file, or its folder, is not writable: check its owner and its mode.",
    sqlite3.SQLITE_BUSY: "Another process holds the database's lock: end it, or wait.",
    sqlite3.SQLITE_LOCKED: "Another process holds the database's lock: end it, or wait.",
    sqlite3.SQLITE_PROTOCOL: "The database's lock cannot be had: is it on a network file system?",
    sqlite3.SQLITE_NOMEM: f"There is no memory left for the database: {_LOOK}.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged: stop the service and restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "The file named as the database is not one: check the setting of its path.",
}
_PRIMARY = 0xFF
"""An extended result code holds its primary one in the lowest byte (https://www.sqlite.org/rescode.html)."""

_READ_ONLY_TRANSACTION = "25006"
"""PostgreSQL, after a fail-over, on a server that is still a standby."""
_RETRIABLE = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: the server has undone the transaction and asks to have it again."""


def outage(error: DBAPIError) -> Unavailable | None:
    """What to tell whoever asked; none: it is not an outage."""
    if isinstance(error.orig, sqlite3.Error):
        message = _SQLITE.get(error.orig.sqlite_errorcode & _PRIMARY)
    elif isinstance(error, OperationalError) or error.connection_invalidated or _read_only(error):
        message = (
            f"The PostgreSQL server does not answer, or cannot write: check CHASER_DATABASE_URL, and {_LOOK}."
        )
    else:
        message = None
    return (
        None if message is None else Unavailable(Reason.STORE_UNAVAILABLE, message, retry_after=RETRY_AFTER)
    )


def undone(error: DBAPIError) -> bool:
    """Whether an error before the commit means that nothing has happened and a second try may succeed."""
    return error.connection_invalidated or conflict(error)


def conflict(error: DBAPIError) -> bool:
    """Whether the server has undone the transaction for another's sake, which it says whenever it was."""
    return _sqlstate(error) in _RETRIABLE


def _read_only(error: DBAPIError) -> bool:
    return _sqlstate(error) == _READ_ONLY_TRANSACTION


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
