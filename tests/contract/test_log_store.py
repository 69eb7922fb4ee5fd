"""What every log store promises, on each database."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from chaser.ids import JobId
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Fence, Progress
from chaser.store.store import Store
from tests.rows import START, claimed, enqueued


def frames(*sizes: int, first: int = 1) -> list[Frame]:
    return [
        Frame(seq, Stream.OUTPUT, START + timedelta(microseconds=seq), bytes([seq % 256]) * size)
        for seq, size in enumerate(sizes, first)
    ]


def seqs(found: Sequence[Frame]) -> list[int]:
    return [frame.seq for frame in found]


async def written(store: Store, *batches: list[Frame]) -> JobId:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    for batch in batches:
        assert await store.logs.append(claim, batch, Progress()) is Fence.HELD
    return claim.job.id


async def test_frames_are_read_as_they_were_written(store: Store) -> None:
    every_byte = Frame(1, Stream.STDOUT, START, bytes(range(256)))
    gap = Frame(2, Stream.GAP, START, b"", skipped=1 << 40)
    last = Frame(3, Stream.STDERR, START + timedelta(microseconds=7), b"\xff")
    job_id = await written(store, [every_byte, gap], [last])

    assert await store.logs.read(job_id, 0, 1 << 20) == [every_byte, gap, last]
    assert await store.logs.read(job_id, 1, 1 << 20) == [gap, last]
    assert await store.logs.read(job_id, 3, 1 << 20) == []


async def test_a_job_without_output_has_no_frames(store: Store) -> None:
    job_id = await written(store, [])

    assert await store.logs.read(job_id, 0, 100) == []
    assert await store.logs.ends(job_id, 100, 1) == ([], [])


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, [1]), (10, [1]), (19, [1]), (20, [1, 2]), (29, [1, 2]), (30, [1, 2, 3]), (99, [1, 2, 3])],
)
async def test_a_read_takes_what_fits_and_at_least_one(store: Store, limit: int, expected: list[int]) -> None:
    job_id = await written(store, frames(10, 10, 10))

    assert seqs(await store.logs.read(job_id, 0, limit)) == expected


async def test_many_small_frames_are_read_in_order(store: Store) -> None:
    job_id = await written(store, frames(*[1] * 700))

    assert seqs(await store.logs.read(job_id, 0, 1 << 20)) == list(range(1, 701))
    head, tail = await store.logs.ends(job_id, 300, 1)
    assert seqs(head) == list(range(1, 301))
    assert seqs(tail) == list(range(401, 701))


@pytest.mark.parametrize(
    ("half", "head", "tail"),
    [
        (0, [], []),
        (1, [1], [5]),
        (10, [1], [5]),
        (11, [1, 2], [4, 5]),
        (25, [1, 2, 3], [4, 5]),
        (50, [1, 2, 3, 4, 5], []),
        (999, [1, 2, 3, 4, 5], []),
    ],
)
async def test_the_ends_cover_their_halves_and_share_no_frame(
    store: Store, half: int, head: list[int], tail: list[int]
) -> None:
    job_id = await written(store, frames(10, 10, 10, 10, 10))

    first, last = await store.logs.ends(job_id, half, 1)

    assert (seqs(first), seqs(last)) == (head, tail)


async def test_a_batch_with_a_number_that_is_taken_is_written_not_at_all(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    await store.logs.append(claim, frames(1, 1), Progress())

    with pytest.raises(ValueError, match="other frames"):
        await store.logs.append(claim, frames(5, 5, 5, first=2)[::-1], Progress())

    assert seqs(await store.logs.read(claim.job.id, 0, 100)) == [1, 2]


async def test_a_batch_may_be_written_again_by_who_did_not_hear_that_it_was(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    batch = frames(3, 5)

    for _ in range(2):
        assert await store.logs.append(claim, batch, Progress(seq=2)) is Fence.HELD

    assert await store.logs.read(claim.job.id, 0, 100) == batch


async def test_the_logs_of_two_jobs_are_apart(store: Store) -> None:
    first = await written(store, frames(1, 1))
    second = await written(store, frames(7))

    assert seqs(await store.logs.read(first, 0, 100)) == [1, 2]
    assert seqs(await store.logs.read(second, 0, 100)) == [1]
