"""Jobs on sandboxes that were made ahead: the queue, the reaper and the sweeps of one service or several."""

import asyncio
from datetime import timedelta
from typing import Any

from chaser.clock import ManualClock, SystemClock
from chaser.errors import Unavailable
from chaser.ids import SandboxId, new_sandbox_id
from chaser.jobs.job import Job, Status
from chaser.jobs.ports import SandboxRow
from chaser.jobs.reason import Reason
from chaser.sandboxes.boot import NOT_HANDED_OVER
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.labels import container_name
from chaser.sandboxes.orphans import Orphans
from chaser.sandboxes.pool import Pool
from tests.engines import IMAGE
from tests.works import PROFILE, Town, Works


async def ready(works: Works, count: int) -> list[SandboxId]:
    """The sandboxes that are ready, once there are so many; the oldest first."""
    while len(held(works)) != count:  # noqa: ASYNC110 - nothing rings when it comes true
        await asyncio.sleep(0.01)
    return held(works)


def held(works: Works) -> list[SandboxId]:
    return [each.prepared.id for rack in works.pool.racks for each in rack.ready]


def warm(job: Job) -> bool:
    assert job.result is not None
    timings: Any = job.result["timings"]
    return timings["warm"]


def counts(pool: Pool) -> dict[str, float]:
    """The measures, by name."""
    return {each.name: sum(each.values.values()) for each in pool.measures()}


async def present(engine: FakeEngine) -> list[str]:
    return [container.options.name for container in engine.containers.values()]


async def nothing_left(works: Works) -> None:
    await works.stop()
    assert await present(works.engine) == []
    rows = await works.store.jobs.sandboxes_left("fake-engine", SystemClock().now())
    assert rows == []


async def test_a_job_gets_one_that_is_ready_and_another_takes_its_place(town: Town) -> None:
    works = await town.works(min_warm=2)
    first, _ = await ready(works, 2)

    job = await works.ended(await works.submit("echo ran"))

    assert (job.status, job.sandbox_id, warm(job), job.attempt) == (Status.SUCCEEDED, first, True, 1)
    assert await works.text(job.id) == b"ran\n"
    assert first not in await ready(works, 2)
    figures = counts(works.pool)
    assert (figures["chaser_warm_hits_total"], figures["chaser_warm_misses_total"]) == (1, 0)
    assert (figures["chaser_warm_ready"], figures["chaser_warm_wanted"]) == (2, 2)
    await nothing_left(works)


async def test_each_is_used_once_however_many_come(town: Town) -> None:
    works = await town.works(min_warm=3, max_running=8)
    await ready(works, 3)

    jobs = [await works.submit(f"echo {number}") for number in range(20)]
    ended = [await works.ended(job) for job in jobs]

    assert {job.status for job in ended} == {Status.SUCCEEDED}
    assert len({job.sandbox_id for job in ended}) == 20
    assert [await works.text(job) for job in jobs] == [b"%d\n" % number for number in range(20)]
    assert any(warm(job) for job in ended)
    figures = counts(works.pool)
    assert figures["chaser_warm_hits_total"] + figures["chaser_warm_misses_total"] == 20
    await nothing_left(works)


async def test_a_job_of_other_sizes_is_prepared_cold(town: Town) -> None:
    works = await town.works(min_warm=1)
    (kept,) = await ready(works, 1)

    job = await works.ended(await works.submit("true", limits={"memory": 1 << 27}))

    assert (job.status, warm(job)) == (Status.SUCCEEDED, False)
    assert held(works) == [kept]
    figures = counts(works.pool)
    assert (figures["chaser_warm_hits_total"], figures["chaser_warm_misses_total"]) == (0, 0)


async def test_where_none_is_ready_a_job_is_prepared_cold(town: Town) -> None:
    works = await town.works(min_warm=1, start=False)
    works.start_queue()

    job = await works.ended(await works.submit("true"))

    assert (job.status, warm(job)) == (Status.SUCCEEDED, False)
    assert counts(works.pool)["chaser_warm_misses_total"] == 1


async def test_one_that_another_process_removes_is_handed_to_nobody(town: Town) -> None:
    works = await town.works(min_warm=2)
    first, second = await ready(works, 2)
    await works.store.jobs.sandbox_gone(first, SystemClock().now())

    job = await works.ended(await works.submit("true"))

    assert (job.status, job.sandbox_id, job.attempt) == (Status.SUCCEEDED, second, 1)
    await nothing_left(works)


async def test_a_fault_of_the_kind_costs_the_sandbox_and_not_the_job(town: Town) -> None:
    works = await town.works(min_warm=1)
    (first,) = await ready(works, 1)
    works.kind.faults.append(Unavailable(Reason.GITHUB_UNAVAILABLE, "later"))

    job = await works.ended(await works.submit("true"))

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert job.sandbox_id != first
    await nothing_left(works)


async def test_its_wait_for_a_job_is_not_the_jobs_time(town: Town) -> None:
    clock = ManualClock()
    works = await town.works(min_warm=1, clock=clock)
    await ready(works, 1)
    clock.advance(timedelta(minutes=50))

    job = await works.ended(await works.submit("sleep 0.1", timeout=timedelta(minutes=1)))

    assert (job.status, job.reason, warm(job)) == (Status.SUCCEEDED, None, True)
    assert job.started_at == job.finished_at == clock.now()


async def test_a_job_that_was_cancelled_on_its_way_to_it_leaves_nothing(town: Town) -> None:
    works = await town.works(min_warm=1)
    await ready(works, 1)
    job_id = await works.submit("sleep 1000")
    await works.intake.cancel(job_id, Reason.CANCELLED_BY_USER)

    assert (await works.ended(job_id)).status is Status.CANCELLED
    await nothing_left(works)


async def test_a_stop_leaves_one_that_was_handed_its_launch_to_whoever_takes_it_over(town: Town) -> None:
    before = await town.works(min_warm=1)
    (mine,) = await ready(before, 1)
    job_id = await before.submit("echo before; sleep 0.5; echo after")
    await before.printed(job_id, b"before")
    await before.stop()
    assert await present(town.engine) == [container_name(mine)]

    after = await town.works()
    await after.reaper.look()
    job = await after.ended(job_id)

    assert (job.status, job.sandbox_id, warm(job), job.attempt) == (Status.SUCCEEDED, mine, True, 1)
    assert await after.text(job_id) == b"before\nafter\n"
    await nothing_left(after)


async def test_a_stop_removes_all_that_are_ready(town: Town) -> None:
    works = await town.works(min_warm=3)
    await ready(works, 3)

    await nothing_left(works)


async def test_services_on_one_database_and_engine_leave_each_others_alone(town: Town) -> None:
    here, there = await town.works(min_warm=2), await town.works(min_warm=2)
    ours, theirs = await ready(here, 2), await ready(there, 2)
    sweep = Orphans(
        town.engine,
        town.store.instance_id,
        town.store.jobs.sandboxes_living,
        town.store.workspaces.kept,
        there.host.removals,
    )

    await there.reaper.look()
    assert await sweep.sweep() == 0
    await there.host.removals.drain(5)

    assert (held(here), held(there)) == (ours, theirs)
    assert len(await present(town.engine)) == 4
    await here.stop()
    assert held(there) == theirs
    job = await there.ended(await there.submit("true"))
    assert warm(job) is True


async def test_one_of_a_process_that_died_is_removed_and_never_adopted(town: Town) -> None:
    """Its stdin closes with the process, so that it ends without having run anything."""
    dead = await town.works(start=False, seat="seat")
    now = SystemClock().now()
    row = SandboxRow(new_sandbox_id(now), None, None, dead.worker, town.engine.engine_id, now)
    await town.store.jobs.name_ahead(row)
    left = await dead.host.launcher.prepare_ahead(row.id, PROFILE.usual, IMAGE, "none")
    assert left is not None
    left.attachment.close()
    await town.engine.exited(left.container)
    assert (await town.engine.state(left.container)).exit_code == NOT_HANDED_OVER

    works = await town.works(min_warm=1, seat="seat")
    (one,) = await ready(works, 1)
    await works.reaper.look()
    await works.host.removals.drain(10)

    assert one != row.id
    assert await present(town.engine) == [container_name(one)]
    assert (await works.ended(await works.submit("true"))).sandbox_id == one
