"""The way of a workflow job, as each database has kept it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chaser.clock import ManualClock
from chaser.jobs.reason import Reason
from chaser.runners.latency import MOST, Passage, Stage
from chaser.store.store import Store
from tests.rows import START, WORKER, claimed
from tests.served_jobs import after, handed_over, heard, ran
from tests.workflow_jobs import FOREIGN, tell, told

SECOND = timedelta(seconds=1)
LONG_AGO = START - timedelta(days=1)


async def begun(store: Store, since: datetime = LONG_AGO, most: int = MOST) -> Sequence[Passage]:
    return await store.passages.begun(since, None, most)


async def test_a_job_has_its_moments_from_its_making_to_its_end(store: Store, clock: ManualClock) -> None:
    clock.advance(0.2 * SECOND)
    runner = await heard(store, 77)
    await handed_over(store, 10)
    await ran(store, 77, runner, 20)

    passage = await store.passages.of(77)

    assert passage is not None
    assert passage.profile == "default"
    moments = {stage.value: (at - START) / SECOND for stage, at in passage.moments.items()}
    assert moments == {
        "created": -3,
        "delivered": 0,
        "stored": 0.2,
        "planned": 0.2,
        "started": 10,
        "prepared": 11,
        "minted": 12,
        "online": 15,
        "running": 20,
        "completed": 80,
    }
    assert await begun(store) == [passage]


async def test_when_it_was_stored_stays_as_it_was_whatever_is_heard_later(
    store: Store, clock: ManualClock
) -> None:
    await heard(store, 77)
    clock.advance(60 * SECOND)
    await tell(store, told("waiting"), after(60))

    passage = await store.passages.of(77)

    assert passage is not None
    assert passage.moments[Stage.STORED] == START


async def test_one_that_waits_has_the_moments_that_have_come(store: Store) -> None:
    """GitHub gives the time of its making as that of its begin until a runner has it."""
    await tell(store, told(created_at=START, started_at=START))

    passage = await store.passages.of(77)

    assert passage is not None
    assert set(passage.moments) == {Stage.CREATED, Stage.DELIVERED, Stage.STORED, Stage.PLANNED}
    assert await begun(store) == []
    assert await store.passages.of(78) is None


async def test_of_several_attempts_the_last_counts(store: Store) -> None:
    await heard(store, 77)
    claim = await claimed(store.jobs, after(1))
    await store.jobs.requeue(claim, Reason.ENGINE_UNAVAILABLE, "Away.", after(5), after(2))
    await store.jobs.promote(after(6))
    await store.jobs.claim(WORKER, after(7))

    passage = await store.passages.of(77)

    assert passage is not None
    assert passage.moments[Stage.STARTED] == after(7)


async def test_those_that_began_in_the_period_are_told_the_newest_first(store: Store) -> None:
    for number, at in ((1, 100), (2, 200), (3, 300)):
        runner = await heard(store, number, at)
        await handed_over(store, at)
        await ran(store, number, runner, at + 10)

    began = [passage.moments[Stage.RUNNING] for passage in await begun(store, after(150))]

    assert began == [after(310), after(210)]
    assert len(await begun(store)) == 3
    assert [each.moments[Stage.RUNNING] for each in await begun(store, most=1)] == [after(310)]
    assert await store.passages.begun(LONG_AGO, "large", MOST) == []
    assert len(await store.passages.begun(LONG_AGO, "default", MOST)) == 3


async def test_one_that_no_runner_of_ours_was_given_has_not_begun_here(store: Store) -> None:
    taken = told("in_progress", started_at=after(5), runner_id=3, runner_name=FOREIGN)
    await heard(store, 77)
    await tell(store, taken, after(6))
    await tell(store, told("completed", job_id=78, conclusion="cancelled", started_at=after(5)), after(6))

    assert await begun(store) == []
