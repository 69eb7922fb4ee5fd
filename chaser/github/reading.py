"""Reading the same things again and again: what is as it was costs nothing of the rate limit, and is not read twice.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests
"""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

from chaser.clock import Clock
from chaser.github.wire import Answer

REMEMBERED = 50_000
"""Items of lists that are kept, each of less than a kilobyte once it is read."""
_UNCHANGED = 304

_NEXT = re.compile(r'<([^>]*)>[^,<]*\brel="next"')

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Answered:
    tag: str
    items: tuple[object, ...]
    next: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    items: tuple[T, ...]
    at: datetime
    """When it was so, by GitHub's clock."""
    next: Mapping[str, str] | None
    """The parameters of the next page; none: there is none."""
    unchanged: bool


class Reader:
    """`key` names what is read, and must differ wherever the answer may."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[Hashable, _Answered] = OrderedDict()
        self._items = 0

    async def read(
        self,
        key: Hashable,
        call: Callable[[str | None], Awaitable[Answer]],
        parse: Callable[[Answer], tuple[T, ...]],
    ) -> Read[T] | None:
        """`call` is given the tag of the answer that is known. None: GitHub shows no such thing (404)."""
        known = self._known.get(key)
        answer = await call(None if known is None else known.tag)
        at = self._moment(answer)
        if known is not None and answer.status == _UNCHANGED:
            self._keep(key, known)
            return Read(cast("tuple[T, ...]", known.items), at, known.next, unchanged=True)
        self._drop(key)
        if answer.status == 404:
            return None
        items, following = parse(answer), next_page(answer.headers)
        if (tag := answer.headers.get("etag")) is not None:
            self._keep(key, _Answered(tag, items, following))
        return Read(items, at, following, unchanged=False)

    def _keep(self, key: Hashable, answered: _Answered) -> None:
        """As the newest one; the oldest make room."""
        self._drop(key)
        self._known[key] = answered
        self._items += 1 + len(answered.items)
        while self._items > REMEMBERED:
            self._drop(next(iter(self._known)))

    def _drop(self, key: Hashable) -> None:
        if (gone := self._known.pop(key, None)) is not None:
            self._items -= 1 + len(gone.items)

    def _moment(self, answer: Answer) -> datetime:
        try:
            found = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            return self._clock.now()
        return found if found.tzinfo is not None else self._clock.now()


def next_page(headers: Mapping[str, str]) -> Mapping[str, str] | None:
    """https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api"""
    found = _NEXT.search(headers.get("link", ""))
    if found is None:
        return None
    return {name: values[-1] for name, values in parse_qs(urlsplit(found[1]).query).items()}
