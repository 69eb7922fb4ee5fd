"""The values that settings are made of, as pydantic reads them from TOML and from environment variables."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from chaser.config_sources import SecretFile
from chaser.secret import Secret
from chaser.sizes import parse_size

_REPOSITORY = re.compile(r"[\w.*?\[\]!-]+/[\w.*?\[\]!-]+", re.ASCII)


class Table(BaseModel):
    """A table of the configuration: frozen, and without room for a key that means nothing."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


def fault(sentence: str) -> PydanticCustomError:
    """A fault as the operator reads it, after the key's name. Never with the value: it may be a secret."""
    # braces would be read as placeholders
    return PydanticCustomError("setting", "{sentence}", {"sentence": sentence})


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_size(value)
    except ValueError as error:
        raise fault(str(error)) from None


def _milliseconds(longest: timedelta) -> BeforeValidator:
    most = longest // timedelta(milliseconds=1)

    def read(value: object) -> timedelta:
        if isinstance(value, timedelta):
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise fault(f"must be a whole number of milliseconds, 1 to {most}")
        return timedelta(milliseconds=value)

    return BeforeValidator(read)


def _text_of(value: object) -> str:
    if isinstance(value, SecretFile):
        return _read(Path(value.path).expanduser())
    if not isinstance(value, str):
        raise fault("must be text")
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise fault(f"its file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise fault(f"its file {path} must be UTF-8 text") from None


def _secret(value: object) -> object:
    if isinstance(value, Secret):
        return value
    text = _text_of(value)
    if not text.strip():
        raise fault("is empty; give it a value, or leave it out")
    return Secret(text)


def _secrets(value: object) -> object:
    if isinstance(value, tuple):
        return cast("object", value)
    parts = (
        cast("list[object]", value) if isinstance(value, list) else _text_of(value).replace(",", " ").split()
    )
    if not parts:
        raise fault("is empty; give it a value, or leave it out")
    return tuple(_secret(part) for part in parts)


def _parts(value: object) -> object:
    """A list in one environment variable is written with commas."""
    if isinstance(value, str):
        return tuple(part for part in value.replace(",", " ").split() if part)
    return value


def _repository_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_REPOSITORY.fullmatch(pattern) for pattern in patterns):
        raise fault('must be patterns of the form "owner/name", such as "octo-org/*"')
    return patterns


def _path(value: object) -> object:
    if isinstance(value, str) and not value:
        raise fault("is empty; give it a path, or leave it out")
    return Path(value).expanduser() if isinstance(value, str) else value


def whole_text(pattern: Callable[[str], bool], otherwise: str) -> BeforeValidator:
    """Text for which `pattern` holds; `otherwise` is the fault of any other."""

    def check(value: object) -> object:
        if value is not None and not (isinstance(value, str) and pattern(value)):
            raise fault(otherwise)
        return value

    return BeforeValidator(check)


Bytes = Annotated[int, BeforeValidator(_size), Field(ge=1)]
"""A size in bytes; written as bytes or as `"4g"`."""
Duration = Annotated[timedelta, _milliseconds(timedelta(days=7))]
"""Written as whole milliseconds, under a name that ends in `_ms`."""
Period = Annotated[timedelta, _milliseconds(timedelta(days=3650))]
"""The same, for how long something is kept."""
SecretText = Annotated[Secret, BeforeValidator(_secret)]
SecretList = Annotated[tuple[Secret, ...], BeforeValidator(_secrets)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_parts)]
RepositoryPatterns = Annotated[Strings, AfterValidator(_repository_patterns)]
"""Globs over `owner/name`."""
UserPath = Annotated[Path, BeforeValidator(_path)]
Count = Annotated[int, Field(ge=1)]
Percent = Annotated[int, Field(ge=1, le=100)]
Port = Annotated[int, Field(ge=1, le=65535)]


def begins(*prefixes: str) -> object:
    return whole_text(lambda text: text.startswith(prefixes), f"must begin with {' or '.join(prefixes)}")
