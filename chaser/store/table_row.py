"""What the classes that describe tables have in common.

The classes say what a row holds; queries are Core statements on their `Table` objects: every write is one known
statement, and tracking objects would only cost. Migrations hold literal text; tests hold them against the classes.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import cast

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, text
from sqlalchemy.orm import declared_attr
from sqlmodel import SQLModel

from chaser.store.columns import Ident

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class TableRow(SQLModel):
    metadata = metadata

    @declared_attr.directive
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  # noqa: N805
        """`LogFramesTable` is the table `log_frames`."""
        return re.sub("(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Table")).lower()


def table_of(row: type[TableRow]) -> Table:
    return cast("Table", vars(row)["__table__"])


def checks(rules: dict[str, str]) -> tuple[CheckConstraint, ...]:
    return tuple(CheckConstraint(rule, name=name) for name, rule in rules.items())


def among(column: str, values: Iterable[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in sorted(values))})"


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that fulfil `where` alone."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def job_reference(*, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(
        Ident, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=primary_key, nullable=nullable
    )
