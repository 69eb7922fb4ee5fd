"""The App's secrets and the setup page's passes, on both databases."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import Connection, update

from chaser.clock import ManualClock
from chaser.runners.app import App
from chaser.runners.passes import LIFETIME, Purpose, digest, new_pass, new_word
from chaser.secret import Secret
from chaser.store.sealing import SealingKey, Unsealable, generate
from chaser.store.store import Store, open_store
from chaser.store.tables import github_apps, metadata
from tests.rows import START

APP = App(
    app_id="1234",
    slug="chaser-octo",
    owner="octo-org",
    page="https://github.com/apps/chaser-octo",
    private_key=Secret("the private key"),
    webhook_secrets=(Secret("the present secret"), Secret("the one before")),
    created_at=START,
)


async def test_an_app_is_kept_whole(store: Store) -> None:
    assert await store.apps.get() is None
    await store.apps.keep(APP)
    assert await store.apps.get() == APP
    assert "the private key" not in repr(APP)


async def test_a_new_app_takes_the_place_of_the_one_before(store: Store) -> None:
    await store.apps.keep(APP)
    other = dataclasses.replace(APP, app_id="99", webhook_secrets=(Secret("another"),))
    await store.apps.keep(other)
    assert await store.apps.get() == other


async def test_none_of_its_secrets_lies_in_clear(store: Store) -> None:
    await store.apps.keep(APP)

    def dump(connection: Connection) -> str:
        rows = [row for table in metadata.tables.values() for row in connection.execute(table.select())]
        return "\n".join(repr(tuple(row)) for row in rows)

    found = await store.database.read(dump)
    assert "chaser-octo" in found
    for secret in (APP.private_key, *APP.webhook_secrets):
        assert secret.reveal() not in found


async def test_its_secrets_belong_to_its_row(store: Store) -> None:
    await store.apps.keep(APP)
    await store.database.write(
        lambda connection: connection.execute(update(github_apps).values(id="another app"))
    )
    with pytest.raises(Unsealable):
        await store.apps.get()


async def test_its_secrets_are_sealed_anew_with_the_rest(
    store: Store, store_url: str, sealing_key: SealingKey, clock: ManualClock
) -> None:
    await store.apps.keep(APP)
    new_key = generate()
    rotated = open_store(store_url, [new_key, sealing_key], clock)
    assert await rotated.reseal() == 1
    await rotated.close()
    alone = open_store(store_url, [new_key], clock)
    assert await alone.apps.get() == APP
    await alone.close()


async def test_a_pass_is_good_once_and_for_its_purpose(store: Store) -> None:
    word = new_word()
    issued = new_pass(word, Purpose.LINK, START)
    await store.passes.add(issued)
    assert not await store.passes.take(digest(word), Purpose.VISIT, START)
    assert not await store.passes.take(digest("another"), Purpose.LINK, START)
    assert await store.passes.take(digest(word), Purpose.LINK, START)
    assert not await store.passes.take(digest(word), Purpose.LINK, START)


async def test_of_many_who_come_with_one_pass_one_is_let_in(store: Store) -> None:
    word = new_word()
    await store.passes.add(new_pass(word, Purpose.LINK, START))
    let_in = await asyncio.gather(*(store.passes.take(digest(word), Purpose.LINK, START) for _ in range(8)))
    assert sorted(let_in) == [False] * 7 + [True]


async def test_a_visit_lasts_and_ends(store: Store) -> None:
    word = new_word()
    await store.passes.add(new_pass(word, Purpose.VISIT, START))
    almost = START + LIFETIME - timedelta(seconds=1)
    assert await store.passes.valid(digest(word), Purpose.VISIT, START)
    assert await store.passes.valid(digest(word), Purpose.VISIT, almost)
    assert not await store.passes.valid(digest(word), Purpose.VISIT, START + LIFETIME)
    assert not await store.passes.valid(digest(word), Purpose.LINK, START)


async def test_a_state_is_its_own_visits(store: Store) -> None:
    word, visit = new_word(), digest(new_word())
    await store.passes.add(new_pass(word, Purpose.STATE, START, bound_to=visit))
    assert not await store.passes.take(digest(word), Purpose.STATE, START)
    assert not await store.passes.take(digest(word), Purpose.STATE, START, bound_to=digest("another"))
    assert await store.passes.take(digest(word), Purpose.STATE, START, bound_to=visit)


async def test_what_has_expired_is_forgotten(store: Store) -> None:
    await store.passes.add(new_pass(new_word(), Purpose.LINK, START))
    later = START + LIFETIME
    kept = new_pass(new_word(), Purpose.LINK, later)
    await store.passes.add(kept)
    table = metadata.tables["setup_passes"]
    rows = await store.database.read(lambda connection: connection.execute(table.select()).all())
    assert [row.digest for row in rows] == [kept.digest]
