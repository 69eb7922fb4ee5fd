"""The list of the App's installations, on each database."""

import asyncio
from datetime import timedelta

from chaser.runners.inbox import Recorded
from chaser.runners.installation import Installation
from chaser.store.store import Store
from tests.rows import START
from tests.workflow_jobs import installed, tell

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(minutes=2)


async def test_an_installation_is_listed(store: Store) -> None:
    assert await tell(store, installed(updated_at=START), SOON) == Recorded(None)
    await tell(store, installed(installation_id=3, account=None), SOON)

    assert await store.installations.list() == [
        Installation(3, None, "Organization", "all", None, None, None, SOON),
        Installation(5, "octo-org", "Organization", "all", None, None, START, SOON),
    ]


async def test_it_is_suspended_let_go_on_and_deleted(store: Store) -> None:
    await tell(store, installed(updated_at=START))
    await tell(store, installed("suspend", suspended_at=SOON, updated_at=SOON))
    (suspended,) = await store.installations.list()
    await tell(store, installed("unsuspend", updated_at=LATER))
    (going_on,) = await store.installations.list()
    await tell(store, installed("deleted", updated_at=LATER), LATER)
    await tell(store, installed("new_permissions_accepted", updated_at=LATER))
    (deleted,) = await store.installations.list()

    assert (suspended.suspended_at, going_on.suspended_at) == (SOON, None)
    assert (going_on.deleted_at, deleted.deleted_at) == (None, LATER)


async def test_its_repositories_may_change(store: Store) -> None:
    await tell(store, installed())
    await tell(store, installed("added", event="installation_repositories", selection="selected"))

    (known,) = await store.installations.list()
    assert known.selection == "selected"


async def test_events_at_once_make_one(store: Store) -> None:
    await asyncio.gather(*(tell(store, installed("deleted")) for _ in range(20)))

    assert [each.id for each in await store.installations.list()] == [5]
