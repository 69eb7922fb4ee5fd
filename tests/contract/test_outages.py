"""A database that is away, full or in the way of somebody else: told apart from defects, by code."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.store.engines import sqlite_url
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from tests.postgres import running_postgres
from tests.rows import enqueued


@pytest.mark.postgres
async def test_a_server_that_stops_is_an_outage_and_comes_back(
    sealing_key: SealingKey, clock: ManualClock
) -> None:
    with running_postgres() as server:
        store = open_store(server.empty(), [sealing_key], clock)
        kept = await enqueued(store.jobs)
        server.stop()

        with pytest.raises(Unavailable) as caught:
            await store.ping()
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
        assert caught.value.retry_after
        with pytest.raises(Unavailable):
            await enqueued(store.jobs)

        server.start()
        assert await store.jobs.get(kept.id) == kept
        await enqueued(store.jobs)
        await store.close()


@pytest.mark.postgres
async def test_a_restart_between_two_calls_is_not_noticed(
    sealing_key: SealingKey, clock: ManualClock
) -> None:
    """Nothing had happened in the transaction whose connection was gone, so it is done again."""
    with running_postgres() as server:
        store = open_store(server.empty(), [sealing_key], clock)
        await enqueued(store.jobs)
        server.stop()
        server.start()

        await enqueued(store.jobs)
        await store.close()


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_an_outage(
    tmp_path: Path, sealing_key: SealingKey, clock: ManualClock
) -> None:
    with pytest.raises(Unavailable, match="CHASER_DATABASE_URL") as caught:
        open_store(f"postgresql://me:hidden@/db?host={tmp_path}", [sealing_key], clock)

    assert "hidden" not in str(caught.value)


async def test_a_full_disk_is_an_outage_and_nothing_is_half_written(
    tmp_path: Path, sealing_key: SealingKey, clock: ManualClock
) -> None:
    store = open_store(sqlite_url(tmp_path / "chaser.db"), [sealing_key], clock)
    await store.database.write(lambda connection: _limit_pages(connection, 1))

    with pytest.raises(Unavailable, match="full: free some space"):
        await enqueued(store.jobs, input={"command": "x" * 200_000})

    await store.database.write(lambda connection: _limit_pages(connection, 1 << 30))
    assert sum((await store.jobs.counts()).values()) == 0
    await enqueued(store.jobs, input={"command": "x" * 200_000})
    await store.close()


def _limit_pages(connection: Connection, count: int) -> None:
    """SQLite reports its own limit as it does a full disk: SQLITE_FULL."""
    connection.exec_driver_sql(f"PRAGMA max_page_count = {count}").all()


async def test_a_defect_is_not_called_an_outage(store: Store) -> None:
    def ask(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises((OperationalError, ProgrammingError), match="nowhere"):
        await store.database.read(ask)


async def test_a_reader_cannot_write_and_a_failed_transaction_leaves_nothing(store: Store) -> None:
    class Interrupted(Exception):
        pass

    def half(connection: Connection) -> None:
        connection.execute(text("DELETE FROM instance"))
        raise Interrupted

    with pytest.raises(Interrupted):
        await store.database.write(half)

    count = await store.database.read(
        lambda connection: connection.execute(text("SELECT count(*) FROM instance")).scalar_one()
    )
    assert count == 1
