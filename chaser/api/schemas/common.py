"""What all schemas share: how strict they are, and the types that more than one of them uses."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)

from chaser.sizes import parse_size

MOST_BYTES = (1 << 63) - 1


class Strict(BaseModel):
    """What clients send: no coercion, and an unknown field is a fault."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Query(BaseModel):
    """A query string: everything in it is text, and an unknown name is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Shown(BaseModel):
    """What clients are answered."""

    model_config = ConfigDict(frozen=True)


def most_bytes(limit: int) -> AfterValidator:
    """At most `limit` bytes of UTF-8; a schema's `maxLength` counts characters."""

    def check(text: str) -> str:
        if len(text.encode()) > limit:
            raise ValueError(f"must be at most {limit} bytes long")
        return text

    return AfterValidator(check)


def most_by_context(key: str, unit: str) -> AfterValidator:
    """At most the number that the validation's context holds under `key`: a setting."""

    def check(value: int, info: ValidationInfo[dict[str, int] | None]) -> int:
        most = (info.context or {}).get(key, value)
        if value > most:
            raise ValueError(f"must be at most {most} {unit}")
        return value

    return AfterValidator(check)


def fits(test: Callable[[str], bool], otherwise: str) -> AfterValidator:
    """Text for which `test` holds; `otherwise` is the reason that is given for any other."""

    def check(text: str) -> str:
        if not test(text):
            raise ValueError(otherwise)
        return text

    return AfterValidator(check)


def _written_in_utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_SIZE = r"^[1-9][0-9]{0,14}([kKmMgGtT]([iI]?[bB])?|[bB])?$"
_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MOST_BYTES},
        {"type": "string", "pattern": _SIZE, "examples": ["512m", "4g"]},
    ],
    "description": "Bytes, or a number with a unit of 1024.",
}


def _size(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(_SIZE, value):
        return parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError('must be a number of bytes, or a size such as "512m" or "4g"')


def _within_reach(at: datetime) -> datetime:
    # near the ends of the calendar a change of the offset overflows
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise ValueError(f"must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return at


_FIRST_YEAR, _LAST_YEAR = 1970, 9000

Moment = Annotated[
    AwareDatetime,
    AfterValidator(_within_reach),
    PlainSerializer(_written_in_utc, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""RFC 3339: read with any offset, written in UTC."""

Size = Annotated[int, BeforeValidator(_size), Field(ge=1, le=MOST_BYTES), WithJsonSchema(_SIZE_SCHEMA)]
"""A size in bytes; read also as `"4g"`."""

Limit = Annotated[int, Field(ge=1, le=100, description="How many entries to answer at most.")]
