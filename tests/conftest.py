"""Fixtures for all suites: the databases. A test that takes `store` or `store_url` runs on each of them."""

import asyncio
import shutil
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.store.engines import sqlite_url
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from tests.postgres import PostgresServer, running_postgres

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program that they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A server, started when the first test asks for it."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def sealing_key() -> SealingKey:
    """The same for every test, so that prepared databases can be copied."""
    return SealingKey(bytes(range(32)))


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """A database with nothing in it."""
    with _empty(request, tmp_path / "empty.db", request.param) as url:
        yield url


@pytest.fixture
def other_empty_url(request: pytest.FixtureRequest, tmp_path: Path, empty_url: str) -> Generator[str]:
    """A second one, of the same kind as `empty_url`."""
    kind = "sqlite" if empty_url.startswith("sqlite") else "postgres"
    with _empty(request, tmp_path / "other.db", kind) as url:
        yield url


@contextmanager
def _empty(request: pytest.FixtureRequest, path: Path, kind: str) -> Generator[str]:
    if kind == "sqlite":
        yield sqlite_url(path)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.empty()
    yield url
    server.drop(url)


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory, sealing_key: SealingKey) -> Path:
    """A SQLite file with Chaser's tables. Closing it has moved everything into it from its log."""
    path = tmp_path_factory.mktemp("prepared") / "chaser.db"
    asyncio.run(open_store(sqlite_url(path), [sealing_key], ManualClock()).close())
    return path


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path, sealing_key: SealingKey) -> Generator[str]:
    """A database of this test's own, copied from one that has its tables already."""
    if request.param == "sqlite":
        prepared: Path = request.getfixturevalue("prepared_file")
        yield sqlite_url(Path(shutil.copy(prepared, tmp_path / "chaser.db")))
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.prepared(sealing_key)
    yield url
    server.drop(url)


@pytest.fixture
async def store(store_url: str, sealing_key: SealingKey, clock: ManualClock) -> AsyncGenerator[Store]:
    store = open_store(store_url, [sealing_key], clock, given_time=True)
    yield store
    await store.close()
