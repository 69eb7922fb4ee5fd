"""What the inputs of all kinds share: how strict they are, and the types that more than one of them uses.

What a setting bounds, a type learns from the validation's context: `timeout_ms`, `queue_timeout_ms` (milliseconds) and
`profiles` (names).
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from chaser.sandboxes.reference import parse_reference
from chaser.sandboxes.workspaces import NAME
from chaser.sizes import parse_size

MOST_BYTES = (1 << 63) - 1
LONGEST = 120 * 1024
"""Of a command and of each value of the environment: Linux takes no single string of more than 128 KiB."""
LONGEST_PATH = 4096


class Strict(BaseModel):
    """What clients send: no coercion, and an unknown field is a fault."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def most_bytes(limit: int) -> AfterValidator:
    """At most `limit` bytes of UTF-8; a schema's `maxLength` counts characters."""

    def check(text: str) -> str:
        if len(text.encode()) > limit:
            raise ValueError(f"must be at most {limit} bytes long")
        return text

    return AfterValidator(check)


def most_by_context(key: str, unit: str) -> AfterValidator:
    """At most the number that the validation's context holds under `key`: a setting."""

    def check(value: int, info: ValidationInfo[Mapping[str, object] | None]) -> int:
        most = (info.context or {}).get(key)
        if isinstance(most, int) and value > most:
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


def _known_profile(name: str, info: ValidationInfo[Mapping[str, object] | None]) -> str:
    known = (info.context or {}).get("profiles")
    if isinstance(known, frozenset) and name not in known:
        names = ", ".join(sorted(cast("frozenset[str]", known)))
        raise ValueError(f"there is no such profile; there are: {names}")
    return name


def _is_reference(text: str) -> bool:
    return parse_reference(text) is not None


def _stays_below(path: str) -> bool:
    return ".." not in path.split("/")


Size = Annotated[int, BeforeValidator(_size), Field(ge=1, le=MOST_BYTES), WithJsonSchema(_SIZE_SCHEMA)]
"""A size in bytes; read also as `"4g"`."""

Milliseconds = Annotated[int, Field(ge=1)]
RunTime = Annotated[Milliseconds, most_by_context("timeout_ms", "ms")]
QueueTime = Annotated[Milliseconds, most_by_context("queue_timeout_ms", "ms")]

Command = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST, examples=["echo hello"], description="Run by `/bin/sh -c`."),
    most_bytes(LONGEST),
]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$")]
Value = Annotated[str, Field(max_length=LONGEST), most_bytes(LONGEST)]
Environment = dict[Name, Value]

ImageName = Annotated[
    str,
    Field(min_length=1, max_length=522, examples=["debian:12"]),
    fits(_is_reference, "is not an image reference; write it like debian:12 or ghcr.io/owner/name@sha256:…"),
]
ProfileName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_known_profile)]
WorkspaceSelector = Annotated[
    str,
    Field(pattern=NAME, examples=["my-project"]),
]
"""A workspace's name, or its id."""
Directory = Annotated[str, Field(pattern=r"^/", max_length=LONGEST_PATH), most_bytes(LONGEST_PATH)]
PathWithin = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_PATH),
    most_bytes(LONGEST_PATH),
    fits(_stays_below, "must not hold `..`"),
]
