"""JSON from outside, of which nothing is believed but that it is JSON."""

import json
from typing import cast


def parse(text: str | bytes) -> dict[str, object]:
    """The JSON object in `text`; an empty one if there is none."""
    try:
        return table(json.loads(text))
    except ValueError:
        return {}


def table(value: object) -> dict[str, object]:
    """The value if it is a table, else an empty one."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The value if it is a list, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def count(value: object) -> int:
    """The value if it is a number, else 0."""
    return value if isinstance(value, int) else 0
