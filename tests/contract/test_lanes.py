"""Those who share the slots take turns: who is next, whoever brought how many, and when."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from chaser.jobs.job import Job
from chaser.jobs.ports import Claim, Created, Fence, Full
from chaser.jobs.reason import Reason
from chaser.store.store import Store
from tests.rows import START, WORKER, enqueued, first, new_job
from tests.workflow_jobs import tell, told

SECOND = timedelta(seconds=1)


class Queue:
    """Jobs by the names that tests give them: the lane, and a number in the order of their coming."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = START
        self.names: dict[str, str] = {}

    async def bring(self, lane: str | None, count: int = 1, **changes: Any) -> list[Job]:  # noqa: ANN401 # fields of NewJob
        made: list[Job] = []
        for _ in range(count):
            self.now += SECOND
            job = await enqueued(self.store.jobs, self.now, lane=lane, tenant=lane, **changes)
            number = 1 + sum(name.startswith(lane or "-") for name in self.names.values())
            self.names[job.id] = f"{lane or '-'}{number}"
            made.append(job)
        return made

    async def take(self, full: Full = Full()) -> tuple[str, Claim]:  # noqa: B008 # a value
        claim = first(await self.store.jobs.claim(WORKER, self.now, full))
        assert claim is not None
        return self.names[claim.job.id], claim

    async def next(self, count: int, full: Full = Full()) -> str:  # noqa: B008 # a value
        return " ".join([(await self.take(full))[0] for _ in range(count)])


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store)


async def test_who_comes_late_stands_beside_the_first_of_who_came_before(queue: Queue) -> None:
    await queue.bring("a", 6)
    assert await queue.next(2) == "a1 a2"
    await queue.bring("b", 3)
    await queue.bring("c", 1)
    assert await queue.next(8) == "a3 b1 c1 a4 b2 a5 b3 a6"


async def test_who_has_been_away_takes_up_no_turns_from_before(queue: Queue) -> None:
    await queue.bring("a", 4)
    await queue.bring("b", 1)
    assert await queue.next(3) == "a1 b1 a2"
    await queue.bring("b", 3)
    assert await queue.next(5) == "a3 b2 a4 b3 b4"
    await queue.bring("a", 1)
    assert await queue.next(1) == "a5"


async def test_turns_are_taken_within_a_priority(queue: Queue) -> None:
    await queue.bring("a", 2)
    await queue.bring("a", 2, priority=1)
    await queue.bring("b", 1)
    await queue.bring("b", 1, priority=1)
    assert await queue.next(6) == "a3 b2 a4 a1 b1 a2"


async def test_a_crowd_in_a_lane_holds_up_none_that_is_in_no_lane_nor_the_other_way_round(
    queue: Queue,
) -> None:
    await queue.bring("a", 3)
    await queue.bring(None, 3)
    assert await queue.next(2) == "a1 -1"
    await queue.bring(None, 3)
    assert await queue.next(7) == "-2 -3 a2 -4 -5 -6 a3"


async def test_several_are_taken_in_the_same_order_as_one_by_one(queue: Queue) -> None:
    await queue.bring("a", 5)
    await queue.bring("b", 3)
    claims = await queue.store.jobs.claim(WORKER, queue.now, most=4)
    claims = [*claims, *await queue.store.jobs.claim(WORKER, queue.now, most=4)]
    assert [queue.names[claim.job.id] for claim in claims] == ["a1", "b1", "a2", "b2", "a3", "b3", "a4", "a5"]


async def test_one_that_failed_comes_back_first_and_opens_no_old_turns_to_others(queue: Queue) -> None:
    await queue.bring("a", 8)
    taken, claim = await queue.take()
    assert taken == "a1"
    assert await queue.next(2) == "a2 a3"
    pause = queue.now + 60 * SECOND
    again = await queue.store.jobs.requeue(claim, Reason.GITHUB_UNAVAILABLE, "Later.", pause, queue.now)
    assert again is Fence.HELD
    queue.now = pause
    assert await queue.store.jobs.promote(queue.now) == 1
    await queue.bring("b", 3)
    assert await queue.next(8) == "a1 a4 b1 a5 b2 a6 b3 a7"


async def test_one_that_comes_back_at_once_does_so_too(queue: Queue) -> None:
    await queue.bring("a", 4)
    _, claim = await queue.take()
    assert await queue.next(1) == "a2"
    again = await queue.store.jobs.requeue(claim, Reason.HOST_LOST, "Again.", queue.now, queue.now)
    assert again is Fence.HELD
    await queue.bring("b", 2)
    assert await queue.next(5) == "a1 a3 b1 a4 b2"


async def test_a_position_is_the_number_of_those_that_go_before(queue: Queue) -> None:
    jobs: Sequence[Job] = [
        *await queue.bring("a", 5),
        *await queue.bring("b", 3),
        *await queue.bring(None, 2),
        *await queue.bring("b", 1, priority=5),
    ]
    told = {queue.names[job.id]: await queue.store.jobs.position(job.id) for job in jobs}
    order = (await queue.next(len(jobs))).split()
    assert sorted(told, key=lambda name: told[name] or 0) == order
    assert sorted(told.values(), key=lambda position: position or 0) == list(range(len(jobs)))


async def test_a_full_lane_and_a_full_tenant_are_passed_over(queue: Queue) -> None:
    await queue.bring("a", 3)
    await queue.bring("b", 2)
    await queue.bring(None, 1)
    assert await queue.next(2, Full(lanes=frozenset({"a"}))) == "b1 -1"
    assert await queue.next(2, Full(tenants=frozenset({"b", "x"}))) == "a1 a2"
    assert not await queue.store.jobs.claim(WORKER, queue.now, Full(tenants=frozenset({"a", "b"})))
    assert await queue.next(2) == "b2 a3"


async def test_a_batch_takes_turns_as_if_one_by_one(queue: Queue) -> None:
    await queue.bring("a", 3)
    batch = [new_job(queue.now, lane=lane, tenant="b") for lane in ("b", None, "b", "c")]
    made = await queue.store.jobs.enqueue_all(batch)
    assert all(isinstance(each, Created) for each in made)
    for name, job in zip(("b1", "-1", "b2", "c1"), batch, strict=True):
        queue.names[job.id] = name
    order = (await queue.next(7)).split()
    assert (set(order[:4]), set(order[4:6]), order[6]) == ({"a1", "b1", "-1", "c1"}, {"a2", "b2"}, "a3")


async def test_workflow_jobs_take_turns_by_their_repository(store: Store) -> None:
    for number in range(1, 5):
        await tell(store, told(job_id=number), START + number * SECOND)
    for number in (5, 6):
        await tell(store, told(job_id=number, repository="octo-org/other"), START + number * SECOND)
    claims = [first(await store.jobs.claim(WORKER, START + 9 * SECOND)) for _ in range(6)]
    assert [claim and claim.job.input["workflow_job_id"] for claim in claims] == [1, 5, 2, 6, 3, 4]
    assert {(claim.job.lane, claim.job.tenant) for claim in claims if claim} == {
        ("github/octo-org/example", "github/5"),
        ("github/octo-org/other", "github/5"),
    }
