"""One claimed job, driven to the next state of its row: each end has its reason, and nothing is left behind."""

import asyncio
from datetime import timedelta

import pytest

from chaser.errors import Refused, Unavailable
from chaser.ids import JobId
from chaser.jobs import settlements
from chaser.jobs.job import Retry, Status
from chaser.jobs.logs import Stream
from chaser.jobs.ports import JobFilter
from chaser.jobs.reason import Reason
from chaser.sandboxes.launcher import Deadlines
from chaser.sandboxes.output import OutputLimits
from chaser.sandboxes.spec import Streams
from tests.engines import IMAGE
from tests.works import SMALL_DISK, Town, Works

SOON = Deadlines(start=timedelta(seconds=0.5), patience=timedelta(seconds=0.3), end=timedelta(seconds=5))


async def nothing_left(works: Works) -> None:
    """Every sandbox is gone, and its row says so."""
    await works.host.removals.drain(10)
    assert works.engine.containers == {}
    left = [each.id for each in await works.store.jobs.list(JobFilter(limit=100))]
    assert [each for each in left if await works.store.jobs.earlier_sandbox(each)] == []


async def history(works: Works, job_id: JobId) -> list[tuple[Status, Reason | None]]:
    return [(event.to_status, event.reason) for event in await works.store.jobs.events(job_id)]


async def test_a_job_runs_and_says_how_it_went(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit("echo out; cat; exit 3", stdin="in\n", env={"A": "b"})

    job = await works.ended(job_id)

    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.NONZERO_EXIT, 1)
    assert job.result is not None
    assert (job.result["exit_code"], job.result["output_bytes"]) == (3, 7)
    assert job.result["session_id"] == job.sandbox_id
    assert await works.text(job_id) == b"out\nin\n"
    assert [status for status, _ in await history(works, job_id)] == [
        Status.QUEUED,
        Status.STARTING,
        Status.RUNNING,
        Status.FAILED,
    ]
    assert works.kind.settled == [(job_id, 1)]
    await nothing_left(works)


async def test_an_outside_that_does_not_answer_keeps_no_end_from_being_known(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlements, "WITHIN", timedelta())
    works = await town.works()
    works.kind.outside.clear()
    job_id = await works.submit("exit 3")

    assert (await works.ended(job_id)).reason is Reason.NONZERO_EXIT
    assert works.kind.settled == []

    works.kind.outside.set()
    await asyncio.sleep(0)
    assert works.kind.settled == [(job_id, 1)]
    await nothing_left(works)


async def test_ends_are_counted_by_kind_status_and_reason(town: Town) -> None:
    works = await town.works()
    for command in ("exit 3", "exit 4", "true"):
        await works.ended(await works.submit(command))

    (ends,) = [each for each in works.dispatcher.measures() if each.name == "chaser_job_ends_total"]

    kind = ("kind", "sandbox.exec")
    assert dict(ends.values) == {
        (kind, ("status", "failed"), ("reason", "nonzero_exit")): 2,
        (kind, ("status", "succeeded"), ("reason", "")): 1,
    }


async def test_a_success_has_no_reason(town: Town) -> None:
    works = await town.works()

    job = await works.ended(await works.submit("true"))

    assert (job.status, job.reason, job.message) == (Status.SUCCEEDED, None, None)
    assert job.started_at is not None
    assert job.handed_over_at is not None
    assert job.handed_over_at <= job.started_at


async def test_secrets_are_masked_in_what_is_stored(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit(
        'echo "$TOKEN"; echo "$TOKEN" >&2', secrets={"TOKEN": "hunter22"}, streams=Streams.SPLIT
    )

    await works.ended(job_id)

    assert await works.text(job_id, Stream.STDOUT) == b"***\n"
    assert await works.text(job_id, Stream.STDERR) == b"***\n"


async def test_a_missing_image_is_final(town: Town) -> None:
    works = await town.works()

    job = await works.ended(await works.submit("true", image="nobody/nothing:1"))

    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.IMAGE_NOT_FOUND, 1)
    assert job.result is not None
    assert job.result["exit_code"] is None


async def test_an_image_without_a_shell_is_final(town: Town) -> None:
    works = await town.works()
    town.engine.without_shell.add(IMAGE.id)

    job = await works.ended(await works.submit("true"))

    assert (job.reason, job.attempt) == (Reason.IMAGE_HAS_NO_SHELL, 1)
    await nothing_left(works)


async def test_a_start_that_is_too_slow_is_tried_again_and_then_given_up(town: Town) -> None:
    works = await town.works(deadlines=SOON)
    town.engine.silent.add(IMAGE.id)

    job_id = await works.submit("true", max_attempts=2)
    job = await works.ended(job_id)

    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.START_TIMEOUT, 2)
    assert (Status.QUEUED, Reason.START_TIMEOUT) in await history(works, job_id)
    await nothing_left(works)


async def test_an_engine_that_is_away_uses_up_the_attempts(town: Town) -> None:
    works = await town.works()
    town.engine.away = True

    job = await works.ended(await works.submit("true", max_attempts=2))

    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.ENGINE_UNAVAILABLE, 2)


async def test_an_engine_that_comes_back_runs_the_job(town: Town) -> None:
    works = await town.works()
    town.engine.away = True
    job_id = await works.submit("echo ran", max_attempts=50)
    await works.until(job_id, lambda job: job.attempt >= 2)

    town.engine.away = False
    job = await works.ended(job_id)

    assert job.status is Status.SUCCEEDED
    assert await works.text(job_id) == b"ran\n"


@pytest.mark.parametrize("times", [1, 2])
async def test_a_hand_over_that_is_cut_off_is_made_again_in_a_new_sandbox(town: Town, times: int) -> None:
    """And the attempts are not used up by waiting for the old sandbox to be gone."""
    works = await town.works()
    town.engine.cut_inputs = [20] * times
    job_id = await works.submit("echo ran", max_attempts=times + 1)

    job = await works.ended(job_id)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, town.engine.created)
    assert await works.text(job_id) == b"ran\n"
    assert {reason for _, reason in await history(works, job_id)} == {None, Reason.HOST_LOST}
    await nothing_left(works)


async def test_a_refusal_of_the_kind_ends_the_job_before_anything_is_handed_over(town: Town) -> None:
    works = await town.works()
    works.kind.faults.append(Refused(Reason.GITHUB_REFUSED, "no"))

    job = await works.ended(await works.submit("true"))

    assert (job.reason, job.message, job.handed_over_at) == (Reason.GITHUB_REFUSED, "no", None)
    await nothing_left(works)


async def test_what_the_kind_needs_may_be_away_for_a_while(town: Town) -> None:
    works = await town.works()
    works.kind.faults.append(Unavailable(Reason.GITHUB_UNAVAILABLE, "later"))
    job_id = await works.submit("true")

    job = await works.ended(job_id)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert (Status.QUEUED, Reason.GITHUB_UNAVAILABLE) in await history(works, job_id)
    assert works.kind.settled == [(job_id, 1), (job_id, 2)]


async def test_a_defect_ends_its_own_job_and_no_other(town: Town) -> None:
    works = await town.works()
    works.kind.faults.append(ZeroDivisionError())

    broken = await works.ended(await works.submit("true"))
    sound = await works.ended(await works.submit("true"))

    assert (broken.status, broken.reason) == (Status.FAILED, Reason.INTERNAL_ERROR)
    assert sound.status is Status.SUCCEEDED
    await nothing_left(works)


async def test_a_run_that_takes_too_long_is_ended(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit("echo before; sleep 1000", timeout=timedelta(seconds=0.5))

    job = await works.ended(job_id)

    assert (job.status, job.reason) == (Status.FAILED, Reason.RUN_TIMEOUT)
    assert await works.text(job_id) == b"before\n"
    await nothing_left(works)


async def test_a_run_that_writes_too_much_is_ended(town: Town) -> None:
    works = await town.works()

    job = await works.ended(
        await works.submit("head -c 300000 /dev/zero >big; sleep 1000", limits=SMALL_DISK)
    )

    assert (job.status, job.reason) == (Status.FAILED, Reason.DISK_FULL)
    assert "100000" in (job.message or "")


async def test_a_run_that_prints_too_much_is_ended(town: Town) -> None:
    works = await town.works(output=OutputLimits(kill_bytes=100_000))

    job = await works.ended(await works.submit("while :; do echo flood flood flood; done"))

    assert (job.status, job.reason) == (Status.FAILED, Reason.OUTPUT_LIMIT)


async def test_a_sandbox_that_is_removed_by_somebody_is_lost_and_not_run_again(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit("sleep 1000")
    await works.running(job_id)
    for container in list(town.engine.containers):
        await town.engine.remove(container)

    job = await works.ended(job_id)

    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.HOST_LOST, 1)


async def test_a_run_whose_engine_stays_away_is_lost_and_not_run_again(town: Town) -> None:
    works = await town.works(deadlines=SOON)
    job_id = await works.submit("sleep 1000")
    await works.running(job_id)
    town.engine.away = True
    town.engine.cut()

    job = await works.ended(job_id)

    assert (job.status, job.reason, job.attempt) == (Status.FAILED, Reason.HOST_LOST, 1)
    town.engine.away = False
    await nothing_left(works)


async def test_a_cancel_holds_though_the_engine_is_away(town: Town) -> None:
    works = await town.works(deadlines=SOON)
    job_id = await works.submit("sleep 1000")
    await works.running(job_id)
    town.engine.away = True

    await works.intake.cancel(job_id, Reason.CANCELLED_BY_USER)
    job = await works.ended(job_id)

    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_USER)
    town.engine.away = False
    await nothing_left(works)


async def test_a_worker_that_has_lost_its_job_leaves_it_to_whoever_has_it(town: Town) -> None:
    """The fence: somebody has taken the row over, with its living sandbox. The first write that finds it so ends the
    work here, and touches nothing."""
    works = await town.works()
    job_id = await works.submit("while [ ! -e stop ]; do echo more; sleep 0.05; done")
    await works.printed(job_id, b"more")
    other = await town.works(start=False)
    claim = await works.store.jobs.take_over(await works.running(job_id), other.worker)
    assert claim is not None

    await works.idle()

    (container,) = works.engine.containers.values()
    assert container.process is not None
    assert container.process.returncode is None
    found = await works.running(job_id)
    assert (found.worker, found.attempt) == (other.worker, 1)


async def test_a_service_that_stops_leaves_a_run_that_has_begun_alone(town: Town) -> None:
    works = await town.works()
    job_id = await works.submit("while [ ! -e stop ]; do sleep 0.05; done; echo went on")
    await works.running(job_id)

    await works.stop()

    (container,) = works.engine.containers.values()
    assert container.process is not None
    assert container.process.returncode is None
    job = await works.store.jobs.get(job_id)
    assert job is not None
    assert job.status is Status.RUNNING
    (container.home / "stop").touch()
    await works.engine.exited(container.id)
    assert any(b"went on" in chunk.data for chunk in container.chunks)


async def test_a_service_that_stops_removes_a_sandbox_that_has_not_begun(town: Town) -> None:
    works = await town.works()
    town.engine.silent.add(IMAGE.id)
    job_id = await works.submit("true")
    await works.engine.started.wait()

    await works.stop()

    assert works.engine.containers == {}
    job = await works.store.jobs.get(job_id)
    assert job is not None
    assert (job.status, job.handed_over_at) == (Status.STARTING, None)


RETRY = Retry(frozenset({Reason.NONZERO_EXIT}), 2, timedelta(milliseconds=1), timedelta(milliseconds=2))


async def test_a_command_that_fails_is_run_again_where_that_was_asked_for(town: Town) -> None:
    works = await town.works()

    job_id = await works.submit("echo again; exit 3", retry=RETRY)
    job = await works.ended(job_id)

    assert (job.status, job.reason, job.attempt, job.retries) == (Status.FAILED, Reason.NONZERO_EXIT, 3, 2)
    assert await works.text(job_id) == b"again\n" * 3
    steps = [status for status, _ in await history(works, job_id)]
    assert steps == [
        *[Status.QUEUED, Status.STARTING, Status.RUNNING] * 3,
        Status.FAILED,
    ]
    await nothing_left(works)


async def test_another_end_than_the_named_ones_is_final(town: Town) -> None:
    works = await town.works()

    job = await works.ended(await works.submit("sleep 1000", retry=RETRY, timeout=timedelta(seconds=0.3)))

    assert (job.reason, job.attempt) == (Reason.RUN_TIMEOUT, 1)


async def test_a_run_again_that_succeeds_is_a_success(town: Town) -> None:
    works = await town.works()
    marker = works.spool / "once"

    job = await works.ended(
        await works.submit(f"[ -e {marker} ] || {{ touch {marker}; exit 1; }}", retry=RETRY)
    )

    assert (job.status, job.attempt, job.reason) == (Status.SUCCEEDED, 2, None)


async def test_what_retry_grants_comes_on_top_of_the_attempts(town: Town) -> None:
    """A cap on faults of the infrastructure is one thing, a wish to try a flaky command again another."""
    works = await town.works()

    job = await works.ended(await works.submit("exit 1", retry=RETRY, max_attempts=1))

    assert (job.reason, job.attempt, job.retries) == (Reason.NONZERO_EXIT, 3, 2)
