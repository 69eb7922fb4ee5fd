"""What follows from what GitHub tells of its workflow jobs, on each database."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import delete

from chaser.ids import JobId, new_job_id
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.ports import JobFilter
from chaser.jobs.reason import Reason
from chaser.runners.decide import KIND
from chaser.runners.demand import MOST_RUNNERS, Demand, State
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Decision, Learned, Recorded
from chaser.runners.ports import DemandFilter
from chaser.store.store import Store
from chaser.store.tables import demands
from tests.rows import START, claimed, new_job
from tests.workflow_jobs import FOREIGN, installed, runner_of, tell, told

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(minutes=2)


async def heard(store: Store, *events: WorkflowJobEvent) -> Recorded:
    """Tell all of them; what came of the last."""
    answers = [await tell(store, event) for event in events]
    assert isinstance(answers[-1], Recorded)
    return answers[-1]


async def demand(store: Store, workflow_job_id: int = 77) -> Demand:
    story = await store.demands.story(workflow_job_id)
    assert story is not None
    return story.demand


async def job_of(store: Store, workflow_job_id: int = 77) -> Job:
    """The job that serves the demand."""
    job_id = (await demand(store, workflow_job_id)).job_id
    assert job_id is not None
    job = await store.jobs.get(job_id)
    assert job is not None
    return job


async def jobs(store: Store) -> Sequence[Job]:
    """The oldest first."""
    return (await store.jobs.list(JobFilter(kind=KIND)))[::-1]


async def waiting(store: Store) -> int:
    return len([job for job in await jobs(store) if not job.status.ended])


async def test_a_queued_job_is_owed_a_runner(store: Store) -> None:
    answer = await heard(store, told(created_at=SOON, html_url="https://github.com/x", run_attempt=2))

    known = await demand(store)
    assert (known.state, known.decision, known.message) == (State.PLANNED, Decision.ACCEPTED, None)
    assert (known.job_id, known.runners, known.seen_at) == (answer.job_id, 1, START)
    assert (known.said.created_at, known.said.html_url, known.said.run_attempt) == (
        SOON,
        "https://github.com/x",
        2,
    )
    assert known.said.labels == ("self-hosted", "chaser")
    assert answer.planned
    assert (await job_of(store)).origin == "github/workflow_job/77"


async def test_what_is_refused_is_kept_with_its_reason(store: Store) -> None:
    assert await heard(store, told(labels=("chaser-lagre",))) == Recorded(None, learned=Learned.WEBHOOK)

    known = await demand(store)
    assert (known.state, known.job_id) == (State.REFUSED, None)
    assert "chaser-large" in (known.message or "")


async def test_a_job_for_others_is_no_demand(store: Store) -> None:
    await heard(store, told(labels=("ubuntu-latest",)))

    assert await store.demands.list(DemandFilter()) == []


async def test_a_cancel_before_the_start_ends_the_job(store: Store) -> None:
    planned = await heard(store, told())
    answer = await heard(store, told("completed", conclusion="cancelled"))

    assert answer == Recorded(planned.job_id, cancelled=(planned.job_id,) if planned.job_id else ())
    job = await job_of(store)
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_GITHUB)
    assert (await demand(store)).state is State.CANCELLED


async def test_a_cancel_while_it_starts_asks_for_its_end(store: Store) -> None:
    planned = await heard(store, told())
    await claimed(store.jobs)
    answer = await heard(store, told("completed", conclusion="cancelled"))

    job = await job_of(store)
    assert (job.status, job.cancel_requested) == (Status.STARTING, Reason.CANCELLED_BY_GITHUB)
    assert answer.cancelled == (planned.job_id,)
    assert (await heard(store, told("completed", conclusion="cancelled"))).cancelled == ()


async def test_an_end_that_is_told_first_owes_nothing_later(store: Store) -> None:
    answer = await heard(store, told("completed", conclusion="skipped"), told())

    assert answer == Recorded(None)
    assert await jobs(store) == []
    assert (await demand(store)).state is State.CANCELLED


async def test_a_job_that_is_held_back_has_its_runner_when_it_is_queued_again(store: Store) -> None:
    first = await heard(store, told(gated_at=START))
    held = await heard(store, told("waiting", gated_at=SOON))

    assert held.cancelled == (first.job_id,)
    assert ((await demand(store)).state, await waiting(store)) == (State.WAITING, 0)

    again = await heard(store, told(gated_at=LATER))

    assert again.planned
    known = await demand(store)
    assert (known.state, known.runners, known.job_id) == (State.PLANNED, 2, again.job_id)
    assert (await job_of(store)).origin == "github/workflow_job/77/2"


async def test_a_gate_that_is_told_late_holds_nothing_back(store: Store) -> None:
    planned = await heard(store, told(gated_at=LATER))

    assert (await heard(store, told("waiting", gated_at=SOON))).cancelled == ()
    assert (await job_of(store)).id == planned.job_id


async def test_what_really_ran_is_booked(store: Store) -> None:
    planned = await heard(store, told())
    name = runner_of(planned.job_id)
    answer = await heard(store, told("in_progress", runner_name=name, runner_id=3))

    known = await demand(store)
    assert (known.state, known.said.runner_name, known.said.runner_id) == (State.RUNNING, name, 3)
    assert answer == Recorded(planned.job_id)
    assert await waiting(store) == 1

    await heard(store, told("completed", runner_name=name, runner_id=3, conclusion="failure"))

    known = await demand(store)
    assert (known.state, known.said.conclusion, known.job_id) == (State.DONE, "failure", planned.job_id)
    assert await waiting(store) == 1


async def test_a_runner_without_a_name_takes_nothing_away(store: Store) -> None:
    await heard(store, told())
    answer = await heard(store, told("in_progress"))

    assert ((await demand(store)).state, answer.cancelled, await waiting(store)) == (State.RUNNING, (), 1)


async def test_a_job_that_another_fleet_took_needs_no_runner_of_ours(store: Store) -> None:
    planned = await heard(store, told())
    answer = await heard(store, told("in_progress", runner_name=FOREIGN))

    assert answer.cancelled == (planned.job_id,)
    assert (await job_of(store)).status is Status.CANCELLED


async def test_two_alike_whose_runners_are_swapped_swap_their_jobs(store: Store) -> None:
    """Nothing more is owed: the one that waits still has a runner that fits."""
    one = await heard(store, told(job_id=1))
    two = await heard(store, told(job_id=2))
    answer = await heard(store, told("in_progress", job_id=2, runner_name=runner_of(one.job_id)))

    assert (answer.planned, answer.cancelled, answer.job_id) == (False, (), one.job_id)
    loser, taker = await demand(store, 1), await demand(store, 2)
    assert (loser.state, loser.job_id, loser.taken_by) == (State.PLANNED, two.job_id, 2)
    assert (taker.state, taker.job_id) == (State.RUNNING, one.job_id)

    await heard(store, told("in_progress", job_id=1, runner_name=runner_of(two.job_id)))

    assert (await demand(store, 1)).state is State.RUNNING
    assert len(await jobs(store)) == 2


async def test_who_lost_its_runner_to_one_that_does_not_fit_is_planned_again(store: Store) -> None:
    """The spare one is of no use, since it lacks a label."""
    wide = told(job_id=1, labels=("self-hosted", "linux", "chaser"))
    one = await heard(store, wide)
    two = await heard(store, told(job_id=2))
    answer = await heard(store, told("in_progress", job_id=2, runner_name=runner_of(one.job_id)))

    assert (answer.planned, answer.cancelled) == (True, (two.job_id,))
    loser = await demand(store, 1)
    job = await job_of(store, 1)
    assert (loser.state, loser.runners, job.origin) == (State.PLANNED, 2, "github/workflow_job/1/2")
    assert (job.input["workflow_job_id"], job.input["labels"]) == (1, ["self-hosted", "linux", "chaser"])
    assert (job.profile, job.max_attempts, job.kind) == ("default", 10_000, KIND)


async def test_a_runner_that_a_job_for_others_was_given_is_booked_and_made_up_for(store: Store) -> None:
    one = await heard(store, told(job_id=1))
    stranger = told("in_progress", job_id=9, labels=("self-hosted",), runner_name=runner_of(one.job_id))
    answer = await heard(store, stranger)

    taker = await demand(store, 9)
    assert (taker.state, taker.decision, taker.job_id) == (State.RUNNING, Decision.NOT_OURS, one.job_id)
    assert answer.planned
    assert ((await demand(store, 1)).taken_by, await waiting(store)) == (9, 2)


async def test_who_has_ended_and_loses_its_runner_needs_no_other(store: Store) -> None:
    one = await heard(store, told(job_id=1))
    two = await heard(store, told(job_id=2))
    await heard(store, told("completed", job_id=1, conclusion="cancelled"))
    answer = await heard(store, told("in_progress", job_id=2, runner_name=runner_of(one.job_id)))

    assert (answer.planned, answer.cancelled) == (False, (two.job_id,))
    assert ((await demand(store, 1)).state, (await demand(store, 1)).job_id) == (State.CANCELLED, None)


async def test_a_name_like_ours_of_which_nothing_is_known_is_anothers(store: Store) -> None:
    planned = await heard(store, told())
    answer = await heard(store, told("in_progress", runner_name=runner_of(new_job_id(START))))

    assert answer.cancelled == (planned.job_id,)


async def test_a_job_of_another_kind_is_no_runner(store: Store) -> None:
    """Whoever can name runners at GitHub could name one after any job."""
    other = new_job()
    await store.jobs.enqueue(other)
    await heard(store, told())
    await heard(store, told("in_progress", runner_name=runner_of(other.id)))

    assert (await demand(store)).job_id != other.id


async def test_a_job_whose_runner_failed_is_planned_again_when_it_is_told_again(store: Store) -> None:
    await heard(store, told())
    claim = await claimed(store.jobs)
    await store.jobs.finish(claim, Verdict(Status.FAILED, Reason.RUNNER_FAILED, "It fell over.", {}), SOON)

    answer = await heard(store, told())

    assert answer.planned
    assert (await job_of(store)).origin == "github/workflow_job/77/2"


async def test_a_job_whose_runner_ended_well_is_not(store: Store) -> None:
    """What it ran, GitHub is about to tell."""
    await heard(store, told())
    claim = await claimed(store.jobs)
    await store.jobs.finish(claim, Verdict(Status.SUCCEEDED, None, None, {}), SOON)

    assert not (await heard(store, told())).planned


async def test_runners_are_not_made_without_end(store: Store) -> None:
    for number in range(MOST_RUNNERS):
        at = START + timedelta(minutes=number)
        assert (await heard(store, told(gated_at=at))).planned
        await heard(store, told("waiting", gated_at=at))

    answer = await heard(store, told(gated_at=LATER + timedelta(days=1)))

    assert not answer.planned
    known = await demand(store)
    assert (known.state, known.runners) == (State.REFUSED, MOST_RUNNERS)
    assert "20 runners" in (known.message or "")


async def test_a_job_from_before_there_were_demands_is_found(store: Store) -> None:
    earlier = new_job(kind=KIND, origin="github/workflow_job/77")
    await store.jobs.enqueue(earlier)

    answer = await heard(store, told("completed", conclusion="cancelled"))

    assert answer.cancelled == (earlier.id,)
    assert (await job_of(store)).status is Status.CANCELLED


async def test_a_job_from_before_there_were_demands_is_not_made_again(store: Store) -> None:
    earlier = new_job(kind=KIND, origin="github/workflow_job/77")
    await store.jobs.enqueue(earlier)

    answer = await heard(store, told())

    assert answer == Recorded(earlier.id, learned=Learned.WEBHOOK)
    assert (await demand(store)).runners == 1


async def test_the_end_of_an_installation_ends_what_waits_for_it(store: Store) -> None:
    planned = await heard(store, told(job_id=1))
    await heard(store, told("waiting", job_id=2))
    await heard(store, told("in_progress", job_id=3, runner_name=FOREIGN))
    await heard(store, told(job_id=4, installation_id=6))
    answer = await tell(store, installed("deleted"))

    assert answer == Recorded(None, cancelled=(planned.job_id,) if planned.job_id else ())
    states = [(await demand(store, number)).state for number in (1, 2, 3, 4)]
    assert states == [State.CANCELLED, State.CANCELLED, State.RUNNING, State.PLANNED]
    assert "uninstalled" in ((await demand(store, 1)).message or "")


async def test_an_installation_that_has_ended_is_owed_nothing(store: Store) -> None:
    await tell(store, installed("deleted"))
    answer = await heard(store, told())

    assert answer == Recorded(None, learned=Learned.WEBHOOK)
    assert (await demand(store)).state is State.CANCELLED


async def test_a_suspended_installation_keeps_what_waits(store: Store) -> None:
    await heard(store, told())
    await tell(store, installed("suspend"))

    assert ((await demand(store)).state, await waiting(store)) == (State.PLANNED, 1)


async def test_the_progress_of_a_runner_is_noted(store: Store) -> None:
    planned = await heard(store, told())
    assert planned.job_id is not None
    for state in (State.STARTING, State.ONLINE, State.STARTING):
        await store.demands.reached(planned.job_id, state, SOON)
    assert (await demand(store)).state is State.ONLINE

    await heard(store, told("in_progress", runner_name=runner_of(planned.job_id)))
    await store.demands.reached(planned.job_id, State.ONLINE, LATER)
    assert (await demand(store)).state is State.RUNNING


async def test_the_progress_of_a_job_that_serves_nobody_is_nobodys(store: Store) -> None:
    await store.demands.reached(JobId("job_none"), State.ONLINE, SOON)

    assert await store.demands.list(DemandFilter()) == []


async def test_demands_are_listed_by_state_and_repository_the_newest_first(store: Store) -> None:
    for number in range(1, 6):
        await heard(store, told(job_id=number, repository=f"octo-org/{number % 2}"))
    await heard(store, told("completed", job_id=2))

    async def ids(which: DemandFilter) -> list[int]:
        return [each.id for each in await store.demands.list(which)]

    assert await ids(DemandFilter()) == [5, 4, 3, 2, 1]
    assert await ids(DemandFilter(state=State.PLANNED)) == [5, 4, 3, 1]
    assert await ids(DemandFilter(repository="octo-org/1")) == [5, 3, 1]
    assert await ids(DemandFilter(limit=2)) == [5, 4]
    assert await ids(DemandFilter(limit=2, before=4)) == [3, 2]


async def test_a_story_has_its_deliveries_in_their_order(store: Store) -> None:
    await tell(store, told(), SOON, guid="second")
    await tell(store, told(), START, guid="first")
    await tell(store, told("completed"), LATER, guid="third")
    await tell(store, told(job_id=78), START, guid="another's")

    story = await store.demands.story(77)

    assert story is not None
    assert [each.guid for each in story.deliveries] == ["first", "second", "third"]
    assert [each.action for each in story.deliveries] == ["queued", "queued", "completed"]
    assert await store.demands.story(79) is None


async def test_a_job_that_is_forgotten_leaves_its_demand(store: Store) -> None:
    planned = await heard(store, told(), told("completed"))
    assert planned.job_id is not None
    await store.retention.forget_job(planned.job_id)

    assert (await demand(store)).job_id is None


async def test_a_demand_that_was_just_forgotten_begins_anew(store: Store) -> None:
    await heard(store, told("completed"))
    await store.database.write(lambda connection: connection.execute(delete(demands)))

    assert (await heard(store, told())).planned


async def test_old_demands_are_forgotten_once_their_jobs_have_ended(store: Store) -> None:
    await heard(store, told("completed", job_id=1), told(job_id=2), told("waiting", job_id=3))
    later = START + timedelta(days=40)

    assert await store.retention.forget_demands(START, 10) == 0
    assert await store.retention.forget_demands(later, 10) == 2
    assert [each.id for each in await store.demands.list(DemandFilter())] == [2]


@pytest.mark.parametrize("rounds", range(3))
async def test_swaps_that_are_told_at_once_wait_for_each_other(store: Store, rounds: int) -> None:
    """Each locks the demands of the other."""
    ids = range(1 + 10 * rounds, 9 + 10 * rounds)
    planned = [await heard(store, told(job_id=number)) for number in ids]
    names = [runner_of(each.job_id) for each in planned]
    names = [*names[1:], names[0]]

    await asyncio.gather(
        *(
            tell(store, told("in_progress", job_id=number, runner_name=name))
            for number, name in zip(ids, names, strict=True)
        )
    )

    served = [await demand(store, number) for number in ids]
    assert {each.state for each in served} == {State.RUNNING}
    assert [runner_of(each.job_id) for each in served] == names
    assert await waiting(store) == len(planned)
