"""What GitHub's answers tell of its rate limits, in their headers.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

CORE = "core"
REGISTRATION = "actions_runner_registration"
"""Of registrations there is a budget beside that of all other calls."""


@dataclass(frozen=True, slots=True)
class Told:
    """How much of one resource's budget is left. Resources are an open list."""

    resource: str
    limit: int
    remaining: int
    reset: int
    """When it is whole again, by GitHub's clock: seconds since 1970."""
    reset_in: float
    """Seconds until then."""


def told(headers: Mapping[str, str], now: datetime) -> Told | None:
    """None: no limit, or none that makes sense. An Enterprise Server has no limits unless somebody has set them.

    `now` is ours, where the answer does not say what time it is at GitHub.
    """
    limit, remaining, reset = (
        _number(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset")
    )
    if limit is None or remaining is None or reset is None:
        return None
    there = _moment(headers.get("date")) or now
    resource = headers.get("x-ratelimit-resource") or CORE
    return Told(resource, limit, remaining, reset, reset - there.timestamp())


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 16 else None


def _moment(text: str | None) -> datetime | None:
    try:
        found = None if text is None else parsedate_to_datetime(text)
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found
