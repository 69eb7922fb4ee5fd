"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): who wants them, from where on,
and how one is written."""

import re

from pydantic import BaseModel
from starlette.requests import Request

from chaser.api.sending import STREAMING_HEADERS

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8", **STREAMING_HEADERS}
_NUMBER = re.compile(r"[0-9]{1,15}")


def wanted(request: Request) -> bool:
    ranges = ",".join(request.headers.getlist("accept")).lower().split(",")
    return any(one.partition(";")[0].strip() == MEDIA_TYPE for one in ranges)


def last_id(request: Request) -> str:
    """The id of the last event that an earlier connection saw; empty at the beginning."""
    return request.headers.get("last-event-id", "")


def last_number(request: Request) -> int:
    """The same where ids are numbers; something else than a number of ours means from the beginning."""
    given = last_id(request)
    return int(given) if _NUMBER.fullmatch(given) else 0


def event(name: str, data: BaseModel, event_id: int | str | None = None) -> bytes:
    """One event. Its data is one line: JSON writes line ends within strings as escapes."""
    identity = "" if event_id is None else f"id: {event_id}\n"
    return f"event: {name}\n{identity}data: {data.model_dump_json()}\n\n".encode()


def comment(text: str) -> bytes:
    """What keeps a connection from looking idle."""
    return f": {text}\n\n".encode()
