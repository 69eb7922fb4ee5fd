"""Lines: jobs of one concurrency key, and of one workspace, wait for each other in order; on each database."""

import asyncio
from datetime import timedelta

import pytest

from chaser.ids import JobId, WorkspaceId
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.ports import Claim, Created, Full, Line
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.store.store import Store
from tests.rows import START, WORKER, claimed, enqueued, first, new_job

SECOND = timedelta(seconds=1)
SUCCESS = Verdict(Status.SUCCEEDED, None, None, {})
ALONE = WorkspaceUse(WorkspaceId("wsp_1"), WorkspaceMode.EXCLUSIVE)
COPY = WorkspaceUse(WorkspaceId("wsp_1"), WorkspaceMode.COPY)


async def next_claim(store: Store) -> Claim | None:
    return first(await store.jobs.claim(WORKER, START, Full()))


async def claimed_ids(store: Store) -> list[JobId]:
    """All that can be claimed now."""
    ids: list[JobId] = []
    while (claim := await next_claim(store)) is not None:
        ids.append(claim.job.id)
    return ids


async def in_line(store: Store, count: int, **changes: object) -> list[Job]:
    return [await enqueued(store.jobs, START + n * SECOND, **changes) for n in range(count)]


async def read(store: Store, job: Job) -> Job:
    found = await store.jobs.get(job.id)
    assert found is not None
    return found


async def test_of_one_key_one_is_live_in_the_order_of_their_coming(store: Store) -> None:
    first, second, third = await in_line(store, 3, concurrency_key="deploy")
    await enqueued(store.jobs, concurrency_key="deploy", priority=100)

    order: list[JobId] = []
    for _ in range(3):
        claim = await claimed(store.jobs)
        assert await next_claim(store) is None
        order.append(claim.job.id)
        await store.jobs.finish(claim, SUCCESS, START)

    assert order == [first.id, second.id, third.id]


async def test_other_keys_and_jobs_without_do_not_wait(store: Store) -> None:
    jobs = [
        await enqueued(store.jobs, START + n * SECOND, concurrency_key=key)
        for n, key in enumerate(["a", "a", "b", None])
    ]

    assert await claimed_ids(store) == [jobs[0].id, jobs[2].id, jobs[3].id]


async def test_a_key_is_no_workspace_of_that_name(store: Store) -> None:
    await enqueued(store.jobs, concurrency_key="wsp_1")
    await enqueued(store.jobs, workspace=ALONE)

    assert len(await claimed_ids(store)) == 2


async def test_who_waits_in_a_line_is_told_for_whom(store: Store) -> None:
    first, second, third = await in_line(store, 3, concurrency_key="deploy")

    assert (first.ready, second.ready) == (True, False)
    assert await store.jobs.line(first.id) is None
    assert await store.jobs.line(second.id) == Line(workspace=False, holder=first.id, position=1)
    assert await store.jobs.line(third.id) == Line(workspace=False, holder=first.id, position=2)
    assert [await store.jobs.position(job.id) for job in (first, second)] == [0, None]


async def test_who_waits_for_a_workspace_is_told_so(store: Store) -> None:
    first, second = await in_line(store, 2, workspace=ALONE)

    assert await store.jobs.line(second.id) == Line(workspace=True, holder=first.id, position=1)


@pytest.mark.parametrize("end", ["finish", "cancel", "expire"])
async def test_when_the_first_ends_the_next_is_ready(store: Store, end: str) -> None:
    first = await enqueued(store.jobs, concurrency_key="k", queue_until=START + SECOND)
    second = await enqueued(store.jobs, START + SECOND, concurrency_key="k")

    match end:
        case "finish":
            await store.jobs.finish(await claimed(store.jobs), SUCCESS, START)
        case "cancel":
            await store.jobs.request_cancel(first.id, Reason.CANCELLED_BY_USER, START)
        case _:
            await store.jobs.expire(START + SECOND)

    assert (await read(store, second)).ready
    assert await claimed_ids(store) == [second.id]


async def test_who_leaves_from_the_middle_lets_nobody_overtake(store: Store) -> None:
    first, second, third = await in_line(store, 3, concurrency_key="k")

    await store.jobs.request_cancel(second.id, Reason.CANCELLED_BY_USER, START)

    assert await claimed_ids(store) == [first.id]
    assert await store.jobs.line(third.id) == Line(workspace=False, holder=first.id, position=1)


async def test_a_job_put_back_keeps_its_place(store: Store) -> None:
    first, second = await in_line(store, 2, concurrency_key="k")

    claim = await claimed(store.jobs)
    await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START + SECOND, START)

    assert await next_claim(store) is None
    assert await store.jobs.line(second.id) == Line(workspace=False, holder=first.id, position=1)
    assert await store.jobs.promote(START + SECOND) == 1
    assert await claimed_ids(store) == [first.id]


async def test_a_job_put_back_at_once_goes_on_being_first(store: Store) -> None:
    first, _ = await in_line(store, 2, concurrency_key="k")

    await store.jobs.requeue(await claimed(store.jobs), Reason.HOST_LOST, "It went.", START, START)

    assert await claimed_ids(store) == [first.id]


async def test_a_scheduled_job_takes_its_place_when_its_time_comes(store: Store) -> None:
    later = await enqueued(store.jobs, concurrency_key="k", run_at=START + 5 * SECOND)
    first = await enqueued(store.jobs, concurrency_key="k")
    assert await store.jobs.line(later.id) is None

    assert await store.jobs.promote(START + 5 * SECOND) == 0

    assert await store.jobs.line(later.id) == Line(workspace=False, holder=first.id, position=1)


async def test_a_workspace_has_many_readers_or_one_writer(store: Store) -> None:
    """And nobody overtakes, so that a writer's turn comes."""
    uses = [COPY, COPY, ALONE, COPY, COPY, ALONE]
    jobs = [await enqueued(store.jobs, START + n * SECOND, workspace=use) for n, use in enumerate(uses)]
    waves: list[list[int]] = []

    while wave := await claimed_ids(store):
        waves.append([[job.id for job in jobs].index(job_id) for job_id in wave])
        for job_id in wave:
            job = await store.jobs.get(job_id)
            assert job is not None
            await store.jobs.finish(Claim(job, WORKER), SUCCESS, START)

    assert waves == [[0, 1], [2], [3, 4], [5]]


async def test_a_writer_that_gives_up_lets_the_readers_behind_it_join_those_before(store: Store) -> None:
    reader, writer, other = [await enqueued(store.jobs, workspace=use) for use in (COPY, ALONE, COPY)]
    assert await claimed_ids(store) == [reader.id]

    await store.jobs.request_cancel(writer.id, Reason.CANCELLED_BY_USER, START)

    assert await claimed_ids(store) == [other.id]


async def test_who_stands_in_two_lines_waits_for_both(store: Store) -> None:
    by_key = await enqueued(store.jobs, concurrency_key="k")
    by_workspace = await enqueued(store.jobs, START + SECOND, workspace=ALONE)
    both = await enqueued(store.jobs, START + 2 * SECOND, concurrency_key="k", workspace=ALONE)
    claims = {claim.job.id: claim for claim in [await claimed(store.jobs), await claimed(store.jobs)]}

    await store.jobs.finish(claims[by_key.id], SUCCESS, START)
    assert await next_claim(store) is None
    await store.jobs.finish(claims[by_workspace.id], SUCCESS, START)

    assert await claimed_ids(store) == [both.id]


async def test_two_ends_at_once_do_not_both_think_that_the_other_will_wake_the_next(store: Store) -> None:
    for _ in range(20):
        await enqueued(store.jobs, concurrency_key="k")
        await enqueued(store.jobs, workspace=ALONE)
        both = await enqueued(store.jobs, concurrency_key="k", workspace=ALONE)
        claims = [await claimed(store.jobs), await claimed(store.jobs)]

        await asyncio.gather(*(store.jobs.finish(claim, SUCCESS, START) for claim in claims))

        claim = await next_claim(store)
        assert claim is not None
        assert claim.job.id == both.id
        await store.jobs.finish(claim, SUCCESS, START)


async def test_many_in_two_lines_at_once_all_come_through_one_at_a_time(store: Store) -> None:
    """Written, cancelled and ended from several threads: no two wait for each other, and none is left behind."""
    uses = [ALONE, COPY, WorkspaceUse(WorkspaceId("wsp_2"), WorkspaceMode.EXCLUSIVE), None]
    new = [
        new_job(START, concurrency_key=f"k{n % 3}" if n % 5 else None, workspace=uses[n % 4])
        for n in range(60)
    ]
    ended: set[JobId] = set()

    async def work() -> None:
        while len(ended) < len(new):
            claim = await next_claim(store)
            if claim is not None:
                await store.jobs.finish(claim, SUCCESS, START)
                ended.add(claim.job.id)
            await asyncio.sleep(0)

    async def write() -> None:
        answers = await asyncio.gather(*(store.jobs.enqueue(each) for each in new))
        assert all(isinstance(answer, Created) for answer in answers)
        for each in new[::7]:
            job = await store.jobs.request_cancel(each.id, Reason.CANCELLED_BY_USER, START)
            assert job is not None
            if job.reason is Reason.CANCELLED_BY_USER:
                ended.add(job.id)

    async with asyncio.timeout(60):
        await asyncio.gather(write(), *(work() for _ in range(4)))

    assert ended == {each.id for each in new}
