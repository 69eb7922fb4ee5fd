"""What whoever looks after runners knows of them, and what becomes of demands whose runner did not serve them; on each
database."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from chaser.ids import JobId
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.ports import Claim, Fence
from chaser.jobs.reason import Reason
from chaser.runners.demand import MOST_RUNNERS, Demand, State
from chaser.runners.inbox import Recorded
from chaser.runners.policy import Level
from chaser.runners.registration import Owner
from chaser.runners.unserved import Unserved
from chaser.runners.wards import Standing
from chaser.store.store import Store
from tests.rows import START, TERMS, claimed, sandbox_of
from tests.workflow_jobs import installed, runner_of, tell, told

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(minutes=2)
MUCH_LATER = START + timedelta(days=1)
ALWAYS = START - timedelta(days=1)


async def planned(store: Store, workflow_job_id: int = 77) -> JobId:
    answer = await tell(store, told(job_id=workflow_job_id))
    assert isinstance(answer, Recorded)
    assert answer.job_id is not None
    return answer.job_id


async def started(store: Store, workflow_job_id: int = 77) -> Claim:
    """Its runner is registered, and about to be started."""
    await planned(store, workflow_job_id)
    claim = await claimed(store.jobs)
    await store.runners.begun(claim.job.id, claim.attempt, runner_of(claim.job.id), START)
    await store.runners.minted(claim.job.id, claim.attempt, 12, START, START)
    sandbox = sandbox_of(claim)
    assert await store.jobs.name_sandbox(claim, sandbox) is Fence.HELD
    assert await store.jobs.hand_over(claim, TERMS, START) is Fence.HELD
    return claim


async def fail(store: Store, claim: Claim, reason: Reason = Reason.RUNNER_FAILED) -> None:
    verdict = Verdict(Status.FAILED, reason, "It fell over.", {})
    assert await store.jobs.finish(claim, verdict, SOON) is Fence.HELD


async def demand(store: Store, workflow_job_id: int = 77) -> Demand:
    story = await store.demands.story(workflow_job_id)
    assert story is not None
    return story.demand


async def job(store: Store, job_id: JobId | None) -> Job:
    assert job_id is not None
    found = await store.jobs.get(job_id)
    assert found is not None
    return found


async def only(store: Store) -> Unserved:
    (found,) = await store.renewals.unserved()
    return found


async def test_a_runner_is_a_ward_until_its_registration_is_known_to_be_gone(store: Store) -> None:
    claim = await started(store)
    (ward,) = await store.runners.open(ALWAYS)

    assert (ward.row.name, ward.row.runner_id) == (runner_of(claim.job.id), 12)
    assert ward.owner == Owner(5, "octo-org/example", "octo-org")
    assert (ward.live, ward.ended_at, ward.ending, ward.serves) == (True, None, False, State.STARTING)

    await store.jobs.request_cancel(claim.job.id, Reason.CANCELLED_BY_USER, SOON)
    (ward,) = await store.runners.open(ALWAYS)
    assert ward.ending

    await fail(store, claim)
    (ward,) = await store.runners.open(ALWAYS)
    assert (ward.live, ward.ended_at) == (False, SOON)
    assert await store.runners.open(SOON) == []

    await store.runners.removed(claim.job.id, 1, LATER)
    assert await store.runners.open(ALWAYS) == []


async def test_of_an_attempt_that_another_follows_nothing_lives(store: Store) -> None:
    claim = await started(store)
    await store.jobs.requeue(claim, Reason.HOST_LOST, "again", SOON, SOON)
    await store.jobs.promote(SOON)
    (ward,) = await store.runners.open(ALWAYS)
    assert not ward.live

    await store.jobs.sandbox_gone((await job(store, claim.job.id)).sandbox_id or sandbox_of(claim).id, SOON)
    await claimed(store.jobs, SOON)
    (ward,) = await store.runners.open(ALWAYS)
    assert (ward.live, ward.row.attempt) == (False, 1)
    assert await store.runners.standings([claim.job.id]) == {
        claim.job.id: Standing(2, live=True, finished_at=None)
    }


async def test_a_ward_tells_whom_it_serves_whichever_that_was_made_for(store: Store) -> None:
    claim = await started(store, 1)
    await planned(store, 2)
    await tell(store, told("in_progress", job_id=2, runner_name=runner_of(claim.job.id)), SOON)
    (ward,) = await store.runners.open(ALWAYS)
    assert (ward.serves, ward.served_at) == (State.RUNNING, SOON)

    await tell(store, told("completed", job_id=2, runner_name=runner_of(claim.job.id)), LATER)
    (ward,) = await store.runners.open(ALWAYS)
    assert (ward.serves, ward.served_at) == (State.DONE, LATER)


async def test_how_jobs_stand_is_told_of_those_that_are_runners(store: Store) -> None:
    claim = await started(store)
    queued = await planned(store, 2)
    unknown = JobId("job_unknown")
    assert await store.runners.standings([claim.job.id, queued, unknown]) == {
        claim.job.id: Standing(1, live=True, finished_at=None),
        queued: Standing(0, live=False, finished_at=None),
    }
    assert await store.runners.standings([]) == {}


async def test_a_ward_whose_registration_is_gone_is_asked_to_end_once(store: Store) -> None:
    claim = await started(store)
    condemned = store.runners.condemned

    assert not await condemned(claim.job.id, 2, Reason.RUNNER_UNKNOWN, SOON)
    assert await condemned(claim.job.id, 1, Reason.RUNNER_UNKNOWN, SOON)
    assert not await condemned(claim.job.id, 1, Reason.RUNNER_UNKNOWN, LATER)

    assert (await job(store, claim.job.id)).cancel_requested is Reason.RUNNER_UNKNOWN
    assert await store.runners.open(ALWAYS) == []
    assert [await store.runners.outlived(at) for at in (SOON, LATER)] == [0, 1]
    await fail(store, claim)
    assert await store.runners.outlived(LATER) == 0


async def test_one_that_has_ended_by_itself_is_not_asked_to(store: Store) -> None:
    claim = await started(store)
    await fail(store, claim)
    assert not await store.runners.condemned(claim.job.id, 1, Reason.RUNNER_UNKNOWN, SOON)
    assert (await job(store, claim.job.id)).reason is Reason.RUNNER_FAILED


async def test_owners_are_those_whose_jobs_were_served_of_late(store: Store) -> None:
    await planned(store, 1)
    await planned(store, 2)
    await tell(store, told(job_id=3, repository="octocat/mine", organization=None))
    await tell(store, told(job_id=4, labels=("chaser-lagre",), repository="octo-org/refused"))

    assert set(await store.runners.owners(ALWAYS)) == {
        Owner(5, "octo-org/example", "octo-org", Level.ORGANIZATION),
        Owner(5, "octocat/mine", None, Level.ORGANIZATION),
    }
    assert await store.runners.owners(START) == []


async def test_a_look_is_the_turn_of_one(store: Store) -> None:
    minute = timedelta(minutes=1)
    assert await store.runners.turn("runners", minute, START)
    assert not await store.runners.turn("runners", minute, START + minute / 2)
    assert await store.runners.turn("others", minute, START)
    assert await store.runners.turn("runners", minute, START + minute)
    assert [await store.renewals.turn("runners", minute, SOON + minute) for _ in range(2)] == [True, False]


async def test_turns_that_are_asked_for_at_once_are_given_to_one(store: Store) -> None:
    asked = [store.runners.turn("runners", timedelta(minutes=1), START) for _ in range(8)]
    assert sum(await asyncio.gather(*asked)) == 1


async def test_a_clock_that_was_set_back_does_not_stop_looks(store: Store) -> None:
    await store.runners.turn("runners", timedelta(minutes=1), MUCH_LATER)
    assert await store.runners.turn("runners", timedelta(minutes=1), START)


async def test_a_demand_whose_runner_lives_is_not_unserved(store: Store) -> None:
    await planned(store, 1)
    assert await store.renewals.unserved() == []
    await started(store, 2)
    assert await store.renewals.unserved() == []


async def test_a_demand_whose_runner_failed_gets_another_one_later_and_says_why(store: Store) -> None:
    claim = await started(store)
    await store.runners.online(claim.job.id, 1, START)
    await fail(store, claim)
    found = await only(store)
    assert found.job is not None
    assert (found.job.reason, found.job.message, found.job.handed_over) == (
        Reason.RUNNER_FAILED,
        "It fell over.",
        True,
    )

    recorded = await store.renewals.renew(found, "It fell over.", timedelta(minutes=1), SOON)

    assert recorded.planned
    after = await demand(store)
    assert (after.state, after.runners, after.setback) == (State.PLANNED, 2, "It fell over.")
    made = await job(store, after.job_id)
    assert (made.status, made.run_at, made.ready) == (Status.QUEUED, LATER, False)
    assert (made.input, made.profile, made.origin) == (
        (await job(store, claim.job.id)).input,
        "default",
        "github/workflow_job/77/2",
    )
    assert await store.renewals.unserved() == []
    assert await store.jobs.promote(LATER) == 1


async def test_what_is_told_again_meanwhile_makes_no_second_one(store: Store) -> None:
    """The one that is to be made after the pause is it."""
    claim = await started(store)
    await fail(store, claim)
    await store.renewals.renew(await only(store), "It fell over.", timedelta(minutes=1), SOON)

    answer = await tell(store, told(), SOON)

    assert isinstance(answer, Recorded)
    assert not answer.planned
    assert (await demand(store)).runners == 2


async def test_a_demand_of_which_more_was_said_meanwhile_is_left_to_that(store: Store) -> None:
    claim = await started(store)
    await fail(store, claim)
    found = await only(store)
    await tell(store, told("completed", conclusion="cancelled"), SOON)
    assert not (await store.renewals.renew(found, "It fell over.", timedelta(), SOON)).planned
    assert (await demand(store)).state is State.CANCELLED

    claim = await started(store, 78)
    await fail(store, claim)
    found = await only(store)
    first, second = await asyncio.gather(
        *(store.renewals.renew(found, "It fell over.", timedelta(), SOON) for _ in range(2))
    )
    assert sorted([first.planned, second.planned]) == [False, True]


async def test_a_launch_that_failed_says_that_nothing_was_handed_over(store: Store) -> None:
    await planned(store)
    await fail(store, await claimed(store.jobs), Reason.IMAGE_NOT_FOUND)
    found = await only(store)
    assert found.job is not None
    assert not found.job.handed_over


async def test_runners_are_not_made_without_end_and_the_last_ones_end_is_said(store: Store) -> None:
    await planned(store)
    for _ in range(MOST_RUNNERS):
        await fail(store, await claimed(store.jobs, SOON))
        await store.renewals.renew(await only(store), "It fell over.", timedelta(), SOON)

    after = await demand(store)
    assert (after.state, after.runners) == (State.REFUSED, MOST_RUNNERS)
    assert after.message is not None
    assert after.message.endswith("The last one: It fell over.")
    assert await store.renewals.unserved() == []


async def test_where_the_app_was_uninstalled_nothing_is_planned(store: Store) -> None:
    claim = await started(store)
    await fail(store, claim)
    found = await only(store)
    await tell(store, installed("deleted"), SOON)
    assert not (await store.renewals.renew(found, "It fell over.", timedelta(), SOON)).planned

    other = replace(found, demand=await demand(store))
    assert not (await store.renewals.renew(other, "It fell over.", timedelta(), SOON)).planned
