"""How the queue and the demands stand, counted on each database."""

from datetime import timedelta

import pytest

from chaser.clock import ManualClock
from chaser.measures import Labels
from chaser.store.store import Store
from tests.rows import START, WORKER, enqueued
from tests.workflow_jobs import tell, told

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def later(clock: ManualClock) -> None:
    """The moment at which it is counted."""
    clock.advance(START + 10 * MINUTE - clock.now())


async def counted(store: Store) -> dict[str, dict[Labels, float]]:
    return {measure.name: dict(measure.values) for measure in await store.tallies.measures()}


async def test_jobs_that_have_not_ended_are_counted_by_status_and_profile(store: Store) -> None:
    for second, profile in enumerate(("default", "large", "large", None)):
        await enqueued(store.jobs, START + timedelta(seconds=second), profile=profile)
    await store.jobs.claim(WORKER, START + MINUTE)

    jobs = (await counted(store))["chaser_jobs"]

    assert jobs == {
        (("status", "queued"),): 1,
        (("status", "queued"), ("profile", "large")): 2,
        (("status", "starting"), ("profile", "default")): 1,
    }


async def test_the_longest_wait_for_a_slot_is_told_by_profile(store: Store) -> None:
    """What waits for its time, or in a line, does not wait for a slot."""
    await enqueued(store.jobs, START, profile="default")
    await enqueued(store.jobs, START + 3 * MINUTE, profile="default")
    await enqueued(store.jobs, START + 4 * MINUTE, profile="large")
    await enqueued(store.jobs, START - MINUTE, profile="large", run_at=START + 60 * MINUTE)

    waits = (await counted(store))["chaser_oldest_wait_seconds"]

    assert waits == {(("profile", "default"),): 600, (("profile", "large"),): 360}


async def test_a_demand_is_counted_in_its_state_until_it_ends(store: Store) -> None:
    await tell(store, told(job_id=1))
    await tell(store, told(job_id=2))
    await tell(store, told("completed", job_id=2, conclusion="cancelled"))
    await tell(store, told("waiting", job_id=3))

    demands = (await counted(store))["chaser_github_demands"]

    assert {labels[0][1]: count for labels, count in demands.items() if count} == {"planned": 1, "waiting": 1}
    assert demands[("state", "running"),] == 0
