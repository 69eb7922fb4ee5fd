"""Durations as people write them: `90`, `90s`, `15m`, `2h`, `500ms`."""

import re
from datetime import timedelta

import typer

_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)?")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f'"{text}" is no duration; write it as 90s, 15m or 2h')
    number, unit = found.groups()
    return int(number) * int(_UNITS[unit or "s"] / timedelta(milliseconds=1))
