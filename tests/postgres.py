"""A real PostgreSQL server for tests: Debian's, on a directory and a Unix socket of its own."""

import asyncio
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from chaser.clock import SystemClock
from chaser.store.sealing import SealingKey
from chaser.store.store import open_store

_BINARIES = Path("/usr/lib/postgresql")
_SETTINGS = "-c listen_addresses= -c max_connections=60"
"""Only the socket."""
HASTY = "-c fsync=off -c full_page_writes=off"
"""No waiting for the disk: the tests' own data may be lost."""
DURABLE = "-c fsync=on -c synchronous_commit=on"


class PostgresServer:
    def __init__(self, directory: Path, binaries: Path, owner: str | None, settings: str) -> None:
        self._directory = directory
        self._settings = settings
        self._binaries = binaries
        self._owner = owner
        self._numbers = itertools.count(1)
        self._templates: dict[SealingKey, str] = {}

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._directory}"

    def start(self) -> None:
        options = f"{_SETTINGS} {self._settings} -c unix_socket_directories={self._directory}"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", self._directory / "log", "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-D", self._data, "-m", "immediate")

    def make(self) -> None:
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8"
        )

    def empty(self) -> str:
        """The URL of a new database with nothing in it."""
        return self._create("template1")

    def prepared(self, key: SealingKey) -> str:
        """The URL of a new database with Chaser's tables, copied from one that was migrated once."""
        if key not in self._templates:
            url = self.empty()
            asyncio.run(open_store(url, [key], SystemClock()).close())
            self._templates[key] = _name(url)
        return self._create(self._templates[key])

    def drop(self, url: str) -> None:
        self._execute("DROP DATABASE {} WITH (FORCE)", _name(url))

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # pyright: ignore[reportArgumentType]

    def _run(self, program: str, *arguments: str | Path) -> None:
        # To a file: the server inherits it, and would hold a pipe open for as long as it lives.
        with (self._directory / "output").open("ab") as output:
            done = subprocess.run(
                [self._binaries / program, *arguments],
                user=self._owner,
                group=self._owner,
                extra_groups=None if self._owner is None else [],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        assert done.returncode == 0, (self._directory / "output").read_text()


def _name(url: str) -> str:
    return make_url(url).database or ""


@contextmanager
def running_postgres(settings: str = HASTY) -> Generator[PostgresServer]:
    """It refuses to run as root, so under root it runs as the package's own user."""
    binaries = sorted(_BINARIES.glob("*/bin/initdb"))
    assert binaries, f"There is no PostgreSQL under {_BINARIES}: run `make setup`."
    owner = "postgres" if os.geteuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="chaser-postgres-", dir="/tmp"))
    if owner is not None:
        account = pwd.getpwnam(owner)
        os.chown(directory, account.pw_uid, account.pw_gid)
    server = PostgresServer(directory, binaries[-1].parent, owner, settings)
    try:
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)
