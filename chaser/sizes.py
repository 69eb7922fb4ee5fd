"""Sizes as people write them: bytes, or a number with a unit of 1024 as Docker reads it (`512m`, `4g`)."""

import re

_SIZE = re.compile(r"(\d{1,15})(?:([kmgt])i?b?|b)?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """The size in bytes. Raises `ValueError` with a sentence that says how a size is written."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError('must be a number of bytes, or a size such as "512m" or "4g"')
    number, unit = found.groups()
    return int(number) * 1024 ** _POWERS.get((unit or "").lower(), 0)
