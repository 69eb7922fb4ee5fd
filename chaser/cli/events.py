"""Server-sent events, read from bytes as they come.

https://html.spec.whatwg.org/multipage/server-sent-events.html, without `id` and `retry`, and with lines that end in
LF or CRLF only: splitting as text would also split at characters that JSON may hold as they are (U+2028).
"""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: str


async def events(chunks: AsyncIterable[bytes]) -> AsyncIterator[Event]:
    """Every whole event; what is cut off at the end is dropped, as the specification says."""
    name, data = "message", list[str]()
    async for line in _lines(chunks):
        field, _, value = line.partition(":")
        match field, value.removeprefix(" "):
            case "", "" if not line:
                if data:
                    yield Event(name, "\n".join(data))
                name, data = "message", []
            case "event", text:
                name = text
            case "data", text:
                data.append(text)
            case _:
                pass  # a comment, or a field that is not ours


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *lines, last = rest.split(b"\n")
            rest = last
            for line in lines:
                yield line.removesuffix(b"\r").decode("utf-8", "replace")
