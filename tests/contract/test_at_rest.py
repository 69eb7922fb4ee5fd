"""What lies on the disk: nothing in clear, everything after a crash, and a rotation of keys."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, update

from chaser.clock import ManualClock
from chaser.errors import ConfigError
from chaser.ids import JobId
from chaser.jobs.job import Status
from chaser.jobs.ports import Full
from chaser.jobs.reason import Reason
from chaser.store.sealing import ID_SLICE, SealingKey, Unsealable, generate
from chaser.store.store import Store, open_store
from chaser.store.tables import instance, jobs, metadata
from tests.rows import SECRETS, START, WORKER, claimed, enqueued, first

CLEAR = ("clear-env-value", "clear-masked-value", "clear-stdin")

WRITE_AND_DIE = """\
import asyncio, os, signal, sys
from chaser.clock import SystemClock
from chaser.store.sealing import SealingKey
from chaser.store.store import open_store
from tests.rows import enqueued

store = open_store(sys.argv[1], [SealingKey(bytes(range(32)))], SystemClock())
job = asyncio.run(enqueued(store.jobs))
os.write(1, job.id.encode())
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_no_secret_lies_in_clear(store: Store, store_url: str) -> None:
    job = await enqueued(store.jobs)
    await claimed(store.jobs)

    dump = await store.database.read(_dump)

    assert job.id in dump
    assert [secret for secret in CLEAR if secret in dump] == []
    for raw in _files(store_url):
        assert [secret for secret in CLEAR if secret.encode() in raw] == []


def _dump(connection: Connection) -> str:
    """Every column of every row, bytes as they are."""
    rows = [row for table in metadata.tables.values() for row in connection.execute(table.select())]
    return "\n".join(repr(tuple(row)) for row in rows)


def _files(url: str) -> Iterator[bytes]:
    """SQLite's own files, its write-ahead log among them."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        found = sorted(path.parent.glob(f"{path.name}*"))
        assert len(found) == 3
        yield from (file.read_bytes() for file in found)


async def test_what_was_accepted_is_there_after_a_kill(
    store_url: str, sealing_key: SealingKey, clock: ManualClock
) -> None:
    job_id = _written_by_the_dead(store_url)

    store = open_store(store_url, [sealing_key], clock)
    job = await store.jobs.get(job_id)
    await store.close()

    assert job is not None
    assert (job.status, job.secrets) == (Status.QUEUED, SECRETS)


def _written_by_the_dead(url: str) -> JobId:
    """The job that a process was told is accepted, just before it was killed."""
    child = subprocess.run(
        [sys.executable, "-c", WRITE_AND_DIE, url],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    return JobId(child.stdout)


async def test_after_a_rotation_the_old_key_may_go(
    store: Store, store_url: str, sealing_key: SealingKey, clock: ManualClock
) -> None:
    new_key = generate()
    written = [await enqueued(store.jobs) for _ in range(450)]

    rotated = open_store(store_url, [new_key, sealing_key], clock)
    added = await enqueued(rotated.jobs)
    resealed, again = await rotated.reseal(), await rotated.reseal()
    await rotated.close()

    assert (resealed, again) == (450, 0)
    alone = open_store(store_url, [new_key], clock)
    for job in (written[0], written[-1], added):
        found = await alone.jobs.get(job.id)
        assert found is not None
        assert found.secrets == SECRETS
    await alone.close()


async def test_until_then_the_old_key_is_asked_for(
    store: Store, store_url: str, sealing_key: SealingKey, clock: ManualClock
) -> None:
    new_key = generate()
    rotated = open_store(store_url, [new_key, sealing_key], clock)
    await enqueued(rotated.jobs)
    await rotated.close()

    with pytest.raises(ConfigError, match=sealing_key.id.hex()):
        open_store(store_url, [new_key], clock)


async def test_every_sealed_column_names_its_key(store: Store, sealing_key: SealingKey) -> None:
    await enqueued(store.jobs)

    def sealed(connection: Connection) -> list[bytes]:
        row = connection.execute(jobs.select()).one()
        return [row.sealed, connection.execute(instance.select()).one().canary]

    assert [value[ID_SLICE] for value in await store.database.read(sealed)] == [sealing_key.id] * 2


async def test_secrets_copied_to_another_row_do_not_open(store: Store) -> None:
    first, second = await enqueued(store.jobs), await enqueued(store.jobs)
    await _copy_secrets(store, first.id, second.id)

    with pytest.raises(Unsealable):
        await store.jobs.get(second.id)


async def test_a_job_that_cannot_be_opened_fails_and_does_not_stop_the_queue(store: Store) -> None:
    good = await enqueued(store.jobs, priority=0)
    broken = await enqueued(store.jobs, priority=1)
    await _copy_secrets(store, good.id, broken.id)

    claim = first(await store.jobs.claim(WORKER, START, Full()))

    assert claim is not None
    assert claim.job.id == good.id
    last = (await store.jobs.events(broken.id))[-1]
    assert (last.to_status, last.reason) == (Status.FAILED, Reason.INTERNAL_ERROR)


async def _copy_secrets(store: Store, source: JobId, target: JobId) -> None:
    def copy(connection: Connection) -> None:
        sealed = connection.execute(jobs.select().where(jobs.c.id == source)).one().sealed
        connection.execute(update(jobs).where(jobs.c.id == target).values(sealed=sealed))

    await store.database.write(copy)
