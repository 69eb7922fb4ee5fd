"""What the schemas of queries and answers share; those of bodies have `chaser.jobs.kinds.schema` for it."""

from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from chaser.clock import rfc3339


class Query(BaseModel):
    """A query string: everything in it is text, and an unknown name is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Shown(BaseModel):
    """What clients are answered."""

    model_config = ConfigDict(frozen=True)


def _within_reach(at: datetime) -> datetime:
    # near the ends of the calendar a change of the offset overflows
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise ValueError(f"must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return at


_FIRST_YEAR, _LAST_YEAR = 1970, 9000

Moment = Annotated[
    AwareDatetime,
    AfterValidator(_within_reach),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""RFC 3339: read with any offset, written in UTC."""

Limit = Annotated[int, Field(ge=1, le=100, description="How many entries to answer at most.")]
