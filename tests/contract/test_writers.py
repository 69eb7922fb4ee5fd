"""SQLite's writer: transactions that go to the disk together, and are apart in all else."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from chaser.clock import ManualClock
from chaser.jobs.ports import Created
from chaser.store.engines import sqlite_url
from chaser.store.enqueue import enqueue
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from tests.rows import new_job

Work = Callable[[Connection], object]


class Interrupted(Exception):
    pass


@pytest.fixture
async def sqlite(tmp_path: Path, sealing_key: SealingKey) -> AsyncGenerator[Store]:
    store = open_store(sqlite_url(tmp_path / "chaser.db"), [sealing_key], ManualClock())
    await store.database.write(
        lambda connection: connection.execute(text("CREATE TABLE notes (word text PRIMARY KEY)"))
    )
    yield store
    await store.close()


def note(word: str) -> Work:
    return lambda connection: connection.execute(text("INSERT INTO notes VALUES (:word)"), {"word": word})


def note_twice(word: str) -> Work:
    """Fails at the second."""

    def work(connection: Connection) -> None:
        note(word)(connection)
        note(word)(connection)

    return work


async def notes(store: Store) -> set[str]:
    return set(
        await store.database.read(
            lambda connection: connection.execute(text("SELECT word FROM notes")).scalars().all()
        )
    )


async def all_at_once(store: Store, *works: Work) -> list[object]:
    """What comes of works that have all waited for the writer."""
    gate, busy = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        busy.set()
        gate.wait(30)

    held = asyncio.create_task(store.database.write(hold))
    await asyncio.to_thread(busy.wait, 30)
    asked = [asyncio.create_task(store.database.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.set()
    await held
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_what_waits_for_the_writer_goes_to_the_disk_together(sqlite: Store) -> None:
    commits = 0

    def count(_: Connection) -> None:
        nonlocal commits
        commits += 1

    event.listen(sqlite.database.engines.writing, "commit", count)

    await all_at_once(sqlite, *(note(f"word {n}") for n in range(20)))

    assert len(await notes(sqlite)) == 20
    assert commits == 2  # that of what held the writer, and one for all of them


async def test_one_that_fails_undoes_no_other(sqlite: Store) -> None:
    def fail(connection: Connection) -> None:
        note("half")(connection)
        raise Interrupted

    answers = await all_at_once(sqlite, note("a"), fail, note("b"), note("a"), note("c"))

    assert await notes(sqlite) == {"a", "b", "c"}
    assert [type(answer) for answer in (answers[1], answers[3])] == [Interrupted, IntegrityError]


async def test_what_is_undone_and_done_again_has_one_line_of_history(sqlite: Store) -> None:
    """Lines are kept until the end of their transaction, and those of one that was undone are forgotten."""
    new = new_job()

    def enqueued(connection: Connection) -> object:
        return enqueue(connection, sqlite.sealer, new, new.created_at)

    made, failed = await all_at_once(sqlite, enqueued, note_twice("again"))

    assert isinstance(made, Created)
    assert isinstance(failed, IntegrityError)
    assert [event.seq for event in await sqlite.jobs.events(new.id)] == [1]


async def test_one_that_nobody_waits_for_any_more_is_not_begun(sqlite: Store) -> None:
    gate, busy = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        busy.set()
        gate.wait(30)

    held = asyncio.create_task(sqlite.database.write(hold))
    await asyncio.to_thread(busy.wait, 30)
    asked = asyncio.create_task(sqlite.database.write(note("late")))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    gate.set()
    await held
    await sqlite.database.write(note("after"))

    assert await notes(sqlite) == {"after"}


async def test_what_was_asked_before_the_end_is_done_at_the_end(
    tmp_path: Path, sealing_key: SealingKey
) -> None:
    url = sqlite_url(tmp_path / "chaser.db")
    store = open_store(url, [sealing_key], ManualClock())
    await store.database.write(lambda connection: connection.execute(text("CREATE TABLE notes (word text)")))

    asked = [asyncio.create_task(store.database.write(note(f"word {n}"))) for n in range(5)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*asked)

    again = open_store(url, [sealing_key], ManualClock())
    assert len(await notes(again)) == 5
    await again.close()
