"""What every inbox promises, on each database: a delivery and what follows from it are written together, once."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy.exc import StatementError

from chaser.jobs.job import NewJob
from chaser.jobs.ports import JobFilter
from chaser.runners.decide import KIND
from chaser.runners.inbox import Decision, Delivery, JobNews, Learned, Recorded, Repeated
from chaser.store.store import Store
from tests.rows import START, new_job
from tests.workflow_jobs import told

DELIVERY = Delivery(
    guid="6f2f0e1a-0000-4000-8000-000000000001",
    event="workflow_job",
    action="queued",
    received_at=START,
    installation_id=1 << 40,
    repository="octo/hello",
    workflow_job_id=77,
    decision=Decision.ACCEPTED,
    message=None,
)
OTHER = replace(DELIVERY, guid="6f2f0e1a-0000-4000-8000-000000000002")
ORIGIN = "github/workflow_job/77"


def owed(new: NewJob) -> JobNews:
    return JobNews(told(), Decision.ACCEPTED, None, replace(new, kind=KIND), None)


async def test_a_delivery_is_stored_with_its_job(store: Store) -> None:
    new = new_job(origin=ORIGIN)

    assert await store.inbox.record(DELIVERY, owed(new)) == Recorded(
        new.id, planned=True, learned=Learned.WEBHOOK
    )
    assert await store.jobs.get(new.id) is not None


async def test_a_repeated_delivery_writes_nothing(store: Store) -> None:
    first = new_job(origin=ORIGIN)
    await store.inbox.record(DELIVERY, owed(first))

    again = await store.inbox.record(
        replace(DELIVERY, decision=Decision.REFUSED), owed(new_job(origin="something/else"))
    )

    assert again == Repeated(Decision.ACCEPTED, first.id)
    assert len(await store.jobs.list(JobFilter())) == 1


async def test_a_delivery_without_a_job_is_stored_too(store: Store) -> None:
    refused = replace(DELIVERY, decision=Decision.REFUSED, message="There is no profile `larg\0e`.")

    assert await store.inbox.record(refused, None) == Recorded(None)
    assert await store.inbox.record(refused, None) == Repeated(Decision.REFUSED, None)


async def test_two_deliveries_for_one_workflow_job_share_its_job(store: Store) -> None:
    first = new_job(origin=ORIGIN)
    await store.inbox.record(DELIVERY, owed(first))

    assert await store.inbox.record(OTHER, owed(new_job(origin=ORIGIN))) == Recorded(first.id)


async def test_twenty_copies_at_once_make_one_job(store: Store) -> None:
    answers = await asyncio.gather(
        *(store.inbox.record(DELIVERY, owed(new_job(origin=ORIGIN))) for _ in range(20))
    )

    assert sum(isinstance(answer, Recorded) for answer in answers) == 1
    assert len({answer.job_id for answer in answers}) == 1


async def test_a_delivery_whose_job_cannot_be_written_is_not_stored(store: Store) -> None:
    with pytest.raises(StatementError):
        await store.inbox.record(DELIVERY, owed(new_job(priority=101)))

    assert await store.demands.story(77) is None
    assert await store.inbox.record(DELIVERY, None) == Recorded(None)


async def test_twenty_deliveries_at_once_make_one_demand(store: Store) -> None:
    """Each has a guid of its own, and tells the same."""
    deliveries = [replace(DELIVERY, guid=f"{number}") for number in range(20)]

    answers = await asyncio.gather(
        *(store.inbox.record(each, owed(new_job(origin=ORIGIN))) for each in deliveries)
    )

    assert [answer.planned for answer in answers if isinstance(answer, Recorded)].count(True) == 1
    assert len({answer.job_id for answer in answers}) == 1
    story = await store.demands.story(77)
    assert story is not None
    assert len(story.deliveries) == 20
