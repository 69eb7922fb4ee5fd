"""Opening the store: migrations, identity, and what is refused."""

import asyncio
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text

from chaser.clock import ManualClock
from chaser.errors import ConfigError
from chaser.store.engines import connect, sqlite_url
from chaser.store.schema import HEAD, revision
from chaser.store.sealing import SealingKey, Unsealable, generate
from chaser.store.store import Store, open_store
from chaser.store.transactions import transact

OPEN_AND_TELL = """\
import asyncio, sys
from chaser.clock import SystemClock
from chaser.store.sealing import SealingKey
from chaser.store.store import open_store

print("imported", flush=True)
sys.stdin.readline()
store = open_store(sys.argv[1], [SealingKey(bytes(range(32)))], SystemClock())
print(store.instance_id, "alembic" in sys.modules, "psycopg" in sys.modules)
asyncio.run(store.close())
"""


@asynccontextmanager
async def opened(url: str, keys: Sequence[SealingKey]) -> AsyncGenerator[Store]:
    store = open_store(url, keys, ManualClock())
    try:
        yield store
    finally:
        await store.close()


async def test_an_empty_database_is_brought_to_the_newest_revision(
    empty_url: str, sealing_key: SealingKey
) -> None:
    async with opened(empty_url, [sealing_key]) as store:
        await store.ping()

        assert await store.database.read(revision) == HEAD


async def test_the_instance_keeps_its_id(empty_url: str, sealing_key: SealingKey) -> None:
    async with opened(empty_url, [sealing_key]) as store:
        first = store.instance_id
    async with opened(empty_url, [sealing_key]) as store:
        assert store.instance_id == first

    assert len(first) == 8
    assert first.isalnum()


def start_all(url: str, count: int) -> list[list[str]]:
    """What that many processes say that open the same database at the same time."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_TELL, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "imported\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0] * count, answers
    return [out.split() for out, _ in answers]


def test_processes_that_start_together_agree(empty_url: str) -> None:
    """One migrates, the others wait for it; the instance has one id."""
    answers = start_all(empty_url, 4)

    assert len({instance_id for instance_id, *_ in answers}) == 1


def test_nothing_is_imported_that_is_not_needed(store_url: str, sealing_key: SealingKey) -> None:
    """Alembic only where there is something to migrate, the PostgreSQL driver only for PostgreSQL."""
    asyncio.run(open_store(store_url, [sealing_key], ManualClock()).close())

    [[_, alembic, psycopg]] = start_all(store_url, 1)

    assert alembic == "False"
    assert psycopg == str(store_url.startswith("postgresql"))


def test_a_database_of_a_newer_program_is_refused(store_url: str, sealing_key: SealingKey) -> None:
    asyncio.run(open_store(store_url, [sealing_key], ManualClock()).close())
    _execute(store_url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ConfigError, match=f"at revision 9999.*its newest is {HEAD}.*a newer Chaser"):
        open_store(store_url, [sealing_key], ManualClock())

    _execute(store_url, "SELECT id FROM jobs")


def test_somebody_elses_database_is_refused(empty_url: str, sealing_key: SealingKey) -> None:
    _execute(empty_url, "CREATE TABLE jobs (name text)")

    with pytest.raises(ConfigError, match=r"did not make \(jobs\)"):
        open_store(empty_url, [sealing_key], ManualClock())

    _execute(empty_url, "SELECT name FROM jobs")


def test_a_database_sealed_with_another_key_is_refused(store_url: str, sealing_key: SealingKey) -> None:
    asyncio.run(open_store(store_url, [sealing_key], ManualClock()).close())

    with pytest.raises(Unsealable, match=f"sealed with key {sealing_key.id.hex()}.*put that key back"):
        open_store(store_url, [generate()], ManualClock())


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "mongodb://h/d"]
)
def test_what_is_neither_of_the_two_databases_is_refused(url: str, sealing_key: SealingKey) -> None:
    with pytest.raises(ConfigError, match="CHASER_DATABASE_URL must be"):
        open_store(url, [sealing_key], ManualClock())


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, sealing_key: SealingKey) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        open_store(sqlite_url(tmp_path), [sealing_key], ManualClock())


async def test_a_sqlite_file_is_its_owners_alone(tmp_path: Path, sealing_key: SealingKey) -> None:
    path = tmp_path / "new" / "chaser.db"

    async with opened(sqlite_url(path), [sealing_key]) as store:
        await store.ping()
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert set(modes.values()) == {0o600}
    assert modes.keys() >= {"chaser.db", "chaser.db-wal"}


async def test_sqlite_waits_for_the_disk_and_keeps_its_readers_from_writing(
    tmp_path: Path, sealing_key: SealingKey
) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "query_only")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    async with opened(sqlite_url(tmp_path / "a.db"), [sealing_key]) as store:
        assert await store.database.write(pragmas) == ["wal", 2, 1, 0]
        assert await store.database.read(pragmas) == ["wal", 2, 1, 1]


@pytest.mark.postgres
async def test_postgres_waits_for_the_disk_where_the_server_would_not(
    request: pytest.FixtureRequest, sealing_key: SealingKey
) -> None:
    url: str = request.getfixturevalue("postgres").prepared(sealing_key)
    _execute(url, f"ALTER DATABASE {make_url(url).database} SET synchronous_commit = off")

    async with opened(url, [sealing_key]) as store:
        asked = await store.database.write(
            lambda connection: connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
        )

    assert asked == "on"


def _execute(url: str, statement: str) -> None:
    engines = connect(url)
    try:
        transact(engines.writing, lambda connection: connection.execute(text(statement)))
    finally:
        engines.dispose()
