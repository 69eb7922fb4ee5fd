"""A run whose end was asked for: some may end only when the outside, which may have given them other work, lets go of them."""

from datetime import timedelta

import pytest

from chaser.errors import Unavailable
from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from tests.works import Town, Works

BY_GITHUB = Reason.CANCELLED_BY_GITHUB
AWAY = Unavailable(Reason.GITHUB_UNAVAILABLE, "GitHub does not answer.")


async def asking(town: Town) -> Works:
    works = await town.works()
    works.kind.asks_first = frozenset({BY_GITHUB})
    return works


@pytest.mark.parametrize("answers", [[True], [AWAY, True]])
async def test_what_the_outside_lets_go_of_ends(town: Town, answers: list[bool | Exception]) -> None:
    """And while it does not answer, the run goes on, and it is asked again."""
    works = await asking(town)
    job_id = await works.submit("echo begun; sleep 1000")
    await works.printed(job_id, b"begun")
    works.kind.releases = answers

    await works.intake.cancel(job_id, BY_GITHUB)
    job = await works.ended(job_id)

    assert (job.status, job.reason, works.kind.releases) == (Status.CANCELLED, BY_GITHUB, [])


async def test_what_has_other_work_by_now_goes_on_as_if_nothing_had_been_asked(town: Town) -> None:
    works = await asking(town)
    job_id = await works.submit("echo begun; sleep 1000")
    await works.printed(job_id, b"begun")
    works.kind.releases = [False]

    await works.intake.cancel(job_id, BY_GITHUB)
    spared = await works.until(job_id, lambda job: not works.kind.releases and job.cancel_requested is None)
    await works.lease.beat()

    assert spared.status is Status.RUNNING
    assert job_id in works.dispatcher.driven()


async def test_it_may_be_asked_for_again_later(town: Town) -> None:
    works = await asking(town)
    job_id = await works.submit("echo begun; sleep 1000")
    await works.printed(job_id, b"begun")
    works.kind.releases = [False]
    await works.intake.cancel(job_id, BY_GITHUB)
    await works.until(job_id, lambda job: not works.kind.releases and job.cancel_requested is None)

    await works.intake.cancel(job_id, BY_GITHUB)

    assert (await works.ended(job_id)).reason is BY_GITHUB


async def test_other_reasons_ask_nobody(town: Town) -> None:
    works = await asking(town)
    job_id = await works.submit("echo begun; sleep 1000")
    await works.printed(job_id, b"begun")
    works.kind.releases = [False]

    await works.intake.cancel(job_id, Reason.CANCELLED_BY_USER)

    assert (await works.ended(job_id)).reason is Reason.CANCELLED_BY_USER
    assert works.kind.releases == [False]


async def test_a_run_that_ends_while_the_outside_is_asked_has_its_own_end(town: Town) -> None:
    works = await asking(town)
    job_id = await works.submit("echo begun; sleep 0.3; exit 3", timeout=timedelta(minutes=1))
    await works.printed(job_id, b"begun")
    works.kind.releases = [AWAY] * 1000

    await works.intake.cancel(job_id, BY_GITHUB)
    job = await works.ended(job_id)

    assert (job.status, job.reason) == (Status.FAILED, Reason.NONZERO_EXIT)


async def test_who_takes_a_run_over_asks_again(town: Town) -> None:
    """That its end was asked for is in the row."""
    first = await asking(town)
    job_id = await first.submit("echo begun; sleep 1000")
    await first.printed(job_id, b"begun")
    first.kind.releases = [AWAY] * 1000
    await first.intake.cancel(job_id, BY_GITHUB)
    await first.stop()

    second = await asking(town)
    await second.reaper.look()

    assert (await second.ended(job_id)).reason is BY_GITHUB


async def test_a_kind_hears_what_is_stored_of_its_output(town: Town) -> None:
    works = await town.works()
    await works.ended(await works.submit("echo one; echo two"))

    assert b"".join(works.kind.heard) == b"one\ntwo\n"
