"""What every key store promises, on each database."""

from dataclasses import replace
from datetime import timedelta

from chaser.ids import KeyId, new_id
from chaser.keys import ALL_SCOPES, ApiKey, Scope, generate
from chaser.store.store import Store
from tests.rows import START

SECOND = timedelta(seconds=1)


def new_key(name: str, seconds: int = 0) -> ApiKey:
    secret, made = generate(), START + seconds * SECOND
    return ApiKey(
        id=KeyId(new_id("key", made)),
        name=name,
        public=secret.public,
        digest=secret.digest,
        scopes=ALL_SCOPES,
        created_at=made,
    )


async def test_a_key_is_read_as_it_was_written(store: Store) -> None:
    plain = new_key("plain")
    narrow = replace(
        new_key("narrow", 1),
        scopes=frozenset({Scope.EXEC_WRITE}),
        profiles=frozenset({"large", "default"}),
        max_running=2,
        own_jobs=True,
        expires_at=START + SECOND,
        workspace_prefix="team-",
    )
    none_allowed = replace(new_key("none", 2), profiles=frozenset[str](), scopes=frozenset[Scope]())

    for key in (plain, narrow, none_allowed):
        await store.keys.add(key)

    assert await store.keys.list() == [plain, narrow, none_allowed]
    assert await store.keys.by_public(narrow.public) == narrow


async def test_there_is_no_key_of_an_unknown_public_part(store: Store) -> None:
    assert await store.keys.by_public("unknown0") is None
    assert await store.keys.revoke(KeyId("key_unknown"), START) is None


async def test_a_key_is_revoked_once(store: Store) -> None:
    key = new_key("k")
    await store.keys.add(key)

    first = await store.keys.revoke(key.id, START + SECOND)
    second = await store.keys.revoke(key.id, START + 2 * SECOND)

    assert first == second == replace(key, revoked_at=START + SECOND)
    assert await store.keys.by_public(key.public) == first
