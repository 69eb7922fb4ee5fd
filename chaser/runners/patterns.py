"""Patterns that people write in the settings. Pure. Case never matters, as it does not to GitHub."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache


def covers(patterns: Iterable[str], full_name: str) -> bool:
    """Whether one of the patterns, `owner/name` with `*`, `?` and `[…]`, means this repository.

    Owner and name are matched apart: nothing in a pattern stands for the slash.
    """
    parts = full_name.lower().split("/")
    return any(_fits(parts, pattern.lower().split("/")) for pattern in patterns)


def covers_all_of(patterns: Iterable[str], owner: str) -> bool:
    """Whether one of the patterns means each repository of this owner."""
    parts = (pattern.lower().split("/") for pattern in patterns)
    return any(fnmatchcase(owner.lower(), wanted) for wanted, name in parts if name == "*")


def matches(patterns: Iterable[str], text: str) -> bool:
    """Whether one of the patterns, with `*` and `?`, is all of the text. Brackets are themselves: names at GitHub have them."""
    return any(_pattern(pattern).fullmatch(text) for pattern in patterns)


def _fits(parts: list[str], wanted: list[str]) -> bool:
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each) or re.escape(each) for each in text), re.IGNORECASE | re.DOTALL)
