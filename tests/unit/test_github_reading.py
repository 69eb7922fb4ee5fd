"""Reading what was read before."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from chaser.clock import ManualClock
from chaser.github import reading
from chaser.github.reading import Read, Reader, next_page
from chaser.github.wire import Answer

DATE = {"date": "Mon, 05 Jan 2026 10:00:00 GMT"}


@dataclass
class Page:
    """One address at GitHub, and how often it was asked for what."""

    text: str = "a b"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    asked: list[str | None] = field(default_factory=list[str | None])

    async def call(self, tag: str | None) -> Answer:
        self.asked.append(tag)
        mine = f'"{self.text}"'
        if tag == mine:
            return Answer(304, b"", DATE)
        return Answer(200, self.text.encode(), {**DATE, "etag": mine, **self.headers})


def words(answer: Answer) -> tuple[str, ...]:
    return tuple(answer.content.decode().split())


def read(reader: Reader, page: Page, key: str = "page") -> Read[str]:
    found = asyncio.run(reader.read(key, page.call, words))
    assert found is not None
    return found


def test_what_is_as_it_was_is_not_read_again() -> None:
    reader, page = Reader(ManualClock()), Page(headers={"link": '<https://x/y?page=2>; rel="next"'})

    first, second = read(reader, page), read(reader, page)

    assert (first.items, first.unchanged, first.at) == (
        ("a", "b"),
        False,
        datetime(2026, 1, 5, 10, tzinfo=UTC),
    )
    assert (second.items, second.unchanged, second.next) == (("a", "b"), True, {"page": "2"})
    assert page.asked == [None, '"a b"']
    page.text = "c"
    assert (read(reader, page).items, read(reader, page).unchanged) == (("c",), True)


def test_what_is_gone_is_forgotten() -> None:
    reader, page = Reader(ManualClock()), Page()
    read(reader, page)

    async def gone(_tag: str | None) -> Answer:
        return Answer(404, b"", {})

    assert asyncio.run(reader.read("page", gone, words)) is None
    read(reader, page)
    assert page.asked == [None, None]


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "REMEMBERED", 7)
    reader, pages = Reader(ManualClock()), {name: Page() for name in ("one", "two", "three")}
    for name in ("one", "two", "one", "three"):
        read(reader, pages[name], name)

    for name in ("one", "three", "two"):
        read(reader, pages[name], name)

    assert {name: page.asked[-1] for name, page in pages.items()} == {
        "one": '"a b"',
        "two": None,
        "three": '"a b"',
    }


@pytest.mark.parametrize(
    ("link", "parameters"),
    [
        ("", None),
        ('<https://x/y?cursor=v1_7&per_page=100>; rel="next"', {"cursor": "v1_7", "per_page": "100"}),
        ('<https://x/y?page=1>; rel="prev", <https://x/y?page=3>; rel="next"', {"page": "3"}),
        ('<https://x/y?page=9>; rel="last", <https://x/y?page=1>; rel="first"', None),
    ],
)
def test_the_next_page_is_where_the_answer_says(link: str, parameters: Mapping[str, str] | None) -> None:
    assert next_page({"link": link}) == parameters
