"""The moment at which a statement runs, for times that are compared with other processes'.

On PostgreSQL it is the server's own clock, so that processes whose clocks differ agree on what is due and who is dead. On
SQLite, which has one process, it is the `now` that is given; so it is for tests, on either.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Dialect, Interval, TypeDecorator, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from chaser.store.columns import Instant

_MICROSECOND = timedelta(microseconds=1)


class Span(TypeDecorator[timedelta]):
    """What may be added to an `Instant`: an interval on PostgreSQL, microseconds on SQLite."""

    impl = Interval
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else Interval())

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> object:
        return value // _MICROSECOND if value is not None and dialect.name == "sqlite" else value


class _Moment(FunctionElement[datetime]):
    type = Instant()
    inherit_cache = True


class _Milliseconds(FunctionElement[timedelta]):
    """A column of milliseconds as a `Span`."""

    type = Span()
    inherit_cache = True


NOW: ColumnElement[datetime] = _Moment(bindparam("now", type_=Instant()))
"""Bind `now` to what `Database.moment` makes of the caller's."""


def later(span: str) -> ColumnElement[datetime]:
    """`NOW` and the timedelta that is bound to `span`; none if that is none."""
    return NOW + bindparam(span, type_=Span())


def milliseconds(column: ColumnElement[int]) -> ColumnElement[timedelta]:
    return _Milliseconds(column)


@compiles(_Moment, "sqlite")
def _given(element: _Moment, compiler: SQLCompiler, **options: object) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Moment, "postgresql")
def _own(element: _Moment, compiler: SQLCompiler, **options: object) -> str:
    # Stable within the statement, unlike clock_timestamp(), so that an index can be searched for it.
    return f"coalesce({compiler.process(element.clauses, **options)}, statement_timestamp())"


@compiles(_Milliseconds, "sqlite")
def _microseconds(element: _Milliseconds, compiler: SQLCompiler, **options: object) -> str:
    return f"({compiler.process(element.clauses, **options)} * 1000)"


@compiles(_Milliseconds, "postgresql")
def _interval(element: _Milliseconds, compiler: SQLCompiler, **options: object) -> str:
    return f"({compiler.process(element.clauses, **options)} * interval '1 millisecond')"
