"""Rows of uploads and artifacts, and their removal, on each database."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from chaser.clock import ManualClock
from chaser.ids import JobId, KeyId, new_job_id, new_upload_id
from chaser.retention import Periods, Retention, Swept
from chaser.runners.inbox import Decision
from chaser.sandboxes.files import Artifact, Upload
from chaser.store.store import Store
from chaser.store.tables import deliveries, jobs, log_frames, sandboxes
from tests.bare_rows import ended, queued

DAY = timedelta(days=1)
ARTIFACTS = [Artifact("b/\n'\\xff", 7, 0o755, "x-0"), Artifact("a", 1 << 40, 0, "x-1")]


def upload_of(clock: ManualClock, key: KeyId | None = None) -> Upload:
    now = clock.now()
    return Upload(new_upload_id(now), key, 1 << 40, True, now, now + DAY)


async def exists(store: Store, job_id: JobId) -> bool:
    which = select(jobs.c.id).where(jobs.c.id == job_id)
    return bool(await store.database.read(lambda connection: connection.execute(which).all()))


async def test_an_upload_is_kept_as_it_was_written(store: Store, clock: ManualClock) -> None:
    mine, other = upload_of(clock, KeyId("key_1")), upload_of(clock)
    await store.uploads.add(mine)
    await store.uploads.add(other)

    assert await store.uploads.get(mine.id) == mine
    assert await store.uploads.known([other.id, new_upload_id(clock.now())]) == [other]
    assert await store.uploads.known([]) == []
    assert await store.uploads.remove(mine.id)
    assert not await store.uploads.remove(mine.id)
    assert await store.uploads.get(mine.id) is None


async def test_a_jobs_artifacts_are_those_that_were_written_last(store: Store, clock: ManualClock) -> None:
    job, other = await queued(store, clock.now()), await queued(store, clock.now())
    await store.artifacts.replace(job, ARTIFACTS)
    await store.artifacts.replace(other, ARTIFACTS)

    assert await store.artifacts.list(job) == ARTIFACTS[::-1]
    assert await store.artifacts.get(job, ARTIFACTS[0].path) == ARTIFACTS[0]
    assert await store.artifacts.get(job, "A") is None

    await store.artifacts.replace(job, ARTIFACTS[:1])
    assert await store.artifacts.list(job) == ARTIFACTS[:1]
    await store.artifacts.replace(job, [])
    assert await store.artifacts.list(job) == []
    assert len(await store.artifacts.list(other)) == 2


async def test_artifacts_of_a_job_that_is_gone_are_no_fault(store: Store, clock: ManualClock) -> None:
    gone = new_job_id(clock.now())

    await store.artifacts.replace(gone, ARTIFACTS)

    assert await store.artifacts.list(gone) == []


class Attic:
    """Retention on a store and two folders."""

    def __init__(self, store: Store, clock: ManualClock, tmp_path: Path) -> None:
        self.store, self.clock = store, clock
        self.uploads, self.artifacts = tmp_path / "uploads", tmp_path / "artifacts"
        self.uploads.mkdir()
        self.artifacts.mkdir()

    async def sweep(self) -> Swept:
        retention = Retention(self.store.retention, self.uploads, self.artifacts, self.clock, Periods())
        return await retention.sweep()

    def file(self, path: Path, *, old: bool = False) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        at = (self.clock.now() - (2 * DAY if old else timedelta())).timestamp()
        os.utime(path, (at, at))
        os.utime(path.parent, (at, at))
        return path


@pytest.fixture
def attic(store: Store, clock: ManualClock, tmp_path: Path) -> Attic:
    return Attic(store, clock, tmp_path)


async def print_frames(store: Store, job_id: JobId, count: int, clock: ManualClock) -> None:
    rows = [
        {
            "job_id": job_id,
            "seq": seq,
            "stream": "output",
            "at": clock.now(),
            "skipped": 0,
            "data": b"x",
            "step": 0,
            "attempt": 1,
        }
        for seq in range(1, count + 1)
    ]
    await store.database.write(lambda connection: connection.execute(insert(log_frames), rows))


async def frames_of(store: Store, job_id: JobId) -> int:
    which = select(log_frames.c.seq).where(log_frames.c.job_id == job_id)
    return len(await store.database.read(lambda connection: connection.execute(which).all()))


async def test_an_ended_job_goes_with_all_that_is_its_own_when_its_time_is_over(
    attic: Attic, store: Store, clock: ManualClock
) -> None:
    job, unfinished = await ended(store, clock.now()), await queued(store, clock.now())
    await print_frames(store, job, 600, clock)
    await store.artifacts.replace(job, ARTIFACTS)
    kept = attic.file(attic.artifacts / job / "x-0")
    clock.advance(29 * DAY)
    young = await ended(store, clock.now())

    assert (await attic.sweep()).jobs == 0
    assert kept.exists()
    assert await frames_of(store, job) == 600

    clock.advance(DAY + timedelta(seconds=1))
    assert await attic.sweep() == Swept(jobs=1, deliveries=0, uploads=0, strays=0)

    assert not await exists(store, job)
    assert (await store.artifacts.list(job), await frames_of(store, job)) == ([], 0)
    assert not kept.parent.exists()
    assert await exists(store, unfinished)
    assert await exists(store, young)
    assert await attic.sweep() == Swept(0, 0, 0, 0)


async def test_a_job_whose_sandbox_may_still_be_there_stays(
    attic: Attic, store: Store, clock: ManualClock
) -> None:
    job = await ended(store, clock.now())
    row = {
        "id": "sbx_1",
        "job_id": job,
        "attempt": 1,
        "worker": "w",
        "engine_id": "e",
        "created_at": clock.now(),
    }
    await store.database.write(lambda connection: connection.execute(insert(sandboxes), row))
    clock.advance(31 * DAY)

    assert (await attic.sweep()).jobs == 0
    await store.database.write(
        lambda connection: connection.execute(update(sandboxes).values(gone_at=clock.now()))
    )
    assert (await attic.sweep()).jobs == 1


async def test_more_jobs_than_one_batch_all_go(attic: Attic, store: Store, clock: ManualClock) -> None:
    for _ in range(120):
        await ended(store, clock.now())
    clock.advance(31 * DAY)

    assert (await attic.sweep()).jobs == 120


async def test_the_key_of_a_job_that_is_gone_is_free_again(
    attic: Attic, store: Store, clock: ManualClock
) -> None:
    first = await ended(store, clock.now(), idempotency_key="k", sealed=b"x")
    clock.advance(31 * DAY)
    await attic.sweep()

    assert await queued(store, clock.now(), idempotency_key="k", sealed=b"x") != first


async def test_deliveries_go_unless_their_job_is_unfinished(
    attic: Attic, store: Store, clock: ManualClock
) -> None:
    done, unfinished = await ended(store, clock.now()), await queued(store, clock.now())
    rows = [
        {
            "guid": guid,
            "event": "e",
            "received_at": clock.now(),
            "decision": min(Decision).value,
            "job_id": job_id,
        }
        for guid, job_id in (("alone", None), ("done", done), ("open", unfinished))
    ]
    await store.database.write(lambda connection: connection.execute(insert(deliveries), rows))
    clock.advance(7 * DAY)
    assert (await attic.sweep()).deliveries == 0

    clock.advance(timedelta(seconds=1))

    assert (await attic.sweep()).deliveries == 2
    left = await store.database.read(
        lambda connection: connection.execute(select(deliveries.c.guid)).scalars().all()
    )
    assert left == ["open"]


async def test_an_expired_upload_goes_unless_an_unfinished_job_names_it(
    attic: Attic, store: Store, clock: ManualClock
) -> None:
    named, used, alone = upload_of(clock), upload_of(clock), upload_of(clock)
    for upload in (named, used, alone):
        await store.uploads.add(upload)
        attic.file(attic.uploads / upload.id)
    await queued(store, clock.now(), input={"inputs": [{"upload": named.id, "path": "x"}]})
    await ended(store, clock.now(), input={"inputs": [{"upload": used.id, "path": "x"}]})
    clock.advance(DAY + timedelta(minutes=59))
    assert (await attic.sweep()).uploads == 0

    clock.advance(timedelta(minutes=2))

    assert (await attic.sweep()).uploads == 2
    assert [path.name for path in attic.uploads.iterdir()] == [named.id]
    assert await store.uploads.get(named.id) == named


async def test_old_files_that_no_row_knows_go_and_young_ones_stay(
    attic: Attic, store: Store, clock: ManualClock
) -> None:
    upload = upload_of(clock)
    await store.uploads.add(upload)
    job = await queued(store, clock.now())
    kept = [
        attic.file(attic.uploads / upload.id, old=True),
        attic.file(attic.artifacts / job / "x-0", old=True),
        attic.file(attic.artifacts / "job_young" / "x-0"),
        attic.file(attic.uploads / "upl_young.part"),
    ]
    gone = [
        attic.file(attic.uploads / f"{upload.id}.part", old=True),
        attic.file(attic.uploads / "upl_unknown", old=True),
        attic.file(attic.artifacts / "job_unknown" / "x-0", old=True),
    ]
    at = (clock.now()).timestamp()
    os.utime(attic.uploads, (at, at))

    assert await attic.sweep() == Swept(0, 0, 0, strays=3)

    assert [path.exists() for path in kept] == [True] * 4
    assert [path.exists() for path in gone] == [False] * 3


async def test_a_store_without_folders_is_no_fault(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    retention = Retention(store.retention, tmp_path / "no", tmp_path / "none", clock, Periods())

    assert await retention.sweep() == Swept(0, 0, 0, 0)
