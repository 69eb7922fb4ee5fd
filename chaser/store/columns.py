"""Column types that mean the same on SQLite and on PostgreSQL, and conditions on columns."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    String,
    Text,
    TypeDecorator,
    literal_column,
)
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware time, kept to the microsecond: `timestamptz` on PostgreSQL, microseconds since 1970 on SQLite.

    SQLite's own date type is text, which compares wrongly as soon as two rows differ in their number of digits.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone must not be stored.")
        return (value - _EPOCH) // _MICROSECOND if dialect.name == "sqlite" else value

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        match value:
            case int():
                return _EPOCH + value * _MICROSECOND
            case datetime():
                return value.astimezone(UTC)
            case _:
                return None


class Words(TypeDecorator[str]):
    """Text that somebody else wrote. What a database cannot hold (NUL, lone surrogates) becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


Ident = String().with_variant(String(collation="C"), "postgresql")
"""An id. Ids are ordered by age, byte by byte, whatever the locale of the database."""

Document = JSON(none_as_null=True)
"""JSON as text: unlike `jsonb` it keeps the order of the keys, and can hold an escaped NUL."""


def rule(condition: str) -> ColumnElement[bool]:
    """A condition written out: a partial index serves no query whose condition is a parameter.

    It has no type, since SQLite would have a truth value compared with 1, and then sees no index in it either.
    """
    return cast("ColumnElement[bool]", literal_column(f"({condition})"))
