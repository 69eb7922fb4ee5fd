"""The headers of a delivery that we need. The signature does not cover them, so they are believed as little as the body.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
"""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers as HttpHeaders

from chaser.webhooks.events import Malformed

_GUID = re.compile(r"[A-Za-z0-9-]{1,64}")
_EVENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Headers:
    event: str
    guid: str


def read_headers(headers: HttpHeaders) -> Headers | Malformed:
    event = _one(headers, "X-GitHub-Event", _EVENT)
    guid = _one(headers, "X-GitHub-Delivery", _GUID)
    if isinstance(event, Malformed):
        return event
    if isinstance(guid, Malformed):
        return guid
    return Headers(event, guid)


def _one(headers: HttpHeaders, name: str, pattern: re.Pattern[str]) -> str | Malformed:
    given = headers.getlist(name)
    if len(given) != 1 or pattern.fullmatch(given[0]) is None:
        return Malformed(f"The header {name} must be there once and as GitHub sends it.")
    return given[0]
