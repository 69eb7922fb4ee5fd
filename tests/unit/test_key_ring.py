"""A key is read seldom; one that is revoked opens nothing more, or nothing after a moment."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chaser.api.key_ring import REMEMBERED_SECONDS, RENEWED_SECONDS, KeyRing
from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.ids import KeyId
from chaser.jobs.reason import Reason
from chaser.keys import ALL_SCOPES, ApiKey

CLOCK = ManualClock()
KEY = ApiKey(KeyId("key_1"), "one", "public", b"0" * 32, ALL_SCOPES, CLOCK.now())


class Rows:
    def __init__(self) -> None:
        self.key = KEY
        self.reads = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.away = False

    async def add(self, key: ApiKey) -> None:
        self.key = key

    async def by_public(self, public: str) -> ApiKey | None:
        self.reads += 1
        if self.away:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "It does not answer.")
        key = self.key if public == self.key.public else None
        await self.may_answer.wait()
        return key

    async def list(self) -> Sequence[ApiKey]:
        return [self.key]

    async def revoke(self, key_id: KeyId, at: datetime) -> ApiKey | None:
        self.key = replace(self.key, revoked_at=at)
        return self.key


async def test_a_key_is_read_once_in_a_moment() -> None:
    rows, clock = Rows(), ManualClock()
    ring = KeyRing(rows, clock)

    found = [await ring.by_public("public") for _ in range(3)]
    clock.advance(timedelta(seconds=REMEMBERED_SECONDS))
    await ring.by_public("public")

    assert found == [KEY] * 3
    assert rows.reads == 2


async def test_what_is_revoked_here_is_forgotten_at_once() -> None:
    ring = KeyRing(Rows(), ManualClock())
    await ring.by_public("public")

    await ring.revoke(KEY.id, CLOCK.now())

    revoked = await ring.by_public("public")
    assert revoked is not None
    assert revoked.revoked_at is not None


async def test_what_was_read_while_it_was_revoked_is_not_remembered() -> None:
    rows = Rows()
    ring = KeyRing(rows, ManualClock())
    rows.may_answer.clear()
    read = asyncio.create_task(ring.by_public("public"))
    await asyncio.sleep(0)

    await ring.revoke(KEY.id, CLOCK.now())
    rows.may_answer.set()
    await read

    revoked = await ring.by_public("public")
    assert revoked is not None
    assert revoked.revoked_at is not None


async def test_what_another_process_revokes_is_seen_after_a_moment() -> None:
    rows, clock = Rows(), ManualClock()
    ring = KeyRing(rows, clock)
    await ring.by_public("public")
    await rows.revoke(KEY.id, clock.now())

    clock.advance(timedelta(seconds=REMEMBERED_SECONDS))

    revoked = await ring.by_public("public")
    assert revoked is not None
    assert revoked.revoked_at is not None


async def test_an_unknown_key_is_looked_for_each_time() -> None:
    rows = Rows()
    ring = KeyRing(rows, ManualClock())

    assert [await ring.by_public("other") for _ in range(2)] == [None, None]
    assert rows.reads == 2


async def test_a_key_in_use_is_read_again_beside_the_requests() -> None:
    rows, clock = Rows(), ManualClock()
    ring = KeyRing(rows, clock)
    await ring.by_public("public")
    await rows.revoke(KEY.id, clock.now())
    clock.advance(timedelta(seconds=RENEWED_SECONDS))

    assert [await ring.by_public("public") for _ in range(2)] == [KEY, KEY]
    await asyncio.sleep(0.01)

    assert rows.reads == 2
    revoked = await ring.by_public("public")
    assert revoked is not None
    assert revoked.revoked_at is not None


async def test_a_key_that_cannot_be_read_again_is_not_trusted_for_longer() -> None:
    rows, clock = Rows(), ManualClock()
    ring = KeyRing(rows, clock)
    await ring.by_public("public")
    rows.away = True
    clock.advance(timedelta(seconds=RENEWED_SECONDS))
    assert await ring.by_public("public") == KEY
    await asyncio.sleep(0.01)

    with pytest.raises(Unavailable):
        await ring.by_public("public")
