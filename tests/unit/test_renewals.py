"""Demands whose runner ended without having served them: asked about, planned again, and given up in the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.ids import JobId
from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.runners.demand import Demand, State, first
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Recorded
from chaser.runners.registration import Owner, WorkflowJob
from chaser.runners.renewals import ASK_AGAIN, GRACE, LONGEST_PAUSE, Renewals
from chaser.runners.unserved import EndedRunner, Unserved
from tests.rows import START
from tests.workflow_jobs import news, told

JOB = JobId("job_00000000000000000000000001")
QUEUED = WorkflowJob("queued", None, None, None)
TICK = timedelta(seconds=5)


def demand(runners: int = 1) -> Demand:
    return replace(first(news(told()), START), state=State.ONLINE, job_id=JOB, runners=runners)


def ended(reason: Reason | None = Reason.RUNNER_FAILED, *, handed_over: bool = True) -> EndedRunner:
    status = Status.SUCCEEDED if reason is None else Status.FAILED
    message = None if reason is None else "It fell over."
    return EndedRunner(status, reason, message, handed_over=handed_over, finished_at=START)


@dataclass
class Book:
    found: list[Unserved]
    renewed: list[tuple[str, timedelta]] = field(default_factory=list[tuple[str, timedelta]])

    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        return True

    async def unserved(self) -> Sequence[Unserved]:
        return self.found

    async def renew(self, unserved: Unserved, setback: str, pause: timedelta, at: datetime) -> Recorded:
        self.renewed.append((setback, pause))
        self.found = []
        return Recorded(JOB, planned=True)


@dataclass
class GitHub:
    answers: list[WorkflowJob | Exception | None]
    asked: list[tuple[Owner, int]] = field(default_factory=list[tuple[Owner, int]])

    async def get(self, owner: Owner, workflow_job_id: int) -> WorkflowJob | None:
        self.asked.append((owner, workflow_job_id))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Scene:
    book: Book
    github: GitHub
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    told: list[WorkflowJobEvent] = field(default_factory=list[WorkflowJobEvent])
    woken: int = 0

    def __post_init__(self) -> None:
        self.renewals = Renewals(
            self.book, lambda: self.github, self.clock, tell=self.tell, awaken=self.awaken
        )

    async def tell(self, event: WorkflowJobEvent) -> None:
        self.told.append(event)

    def awaken(self) -> None:
        self.woken += 1

    async def passes(self, span: timedelta) -> None:
        for _ in range(span // TICK):
            await self.renewals.look()
            self.clock.advance(TICK)


def scene(unserved: Unserved, *answers: WorkflowJob | Exception | None) -> Scene:
    return Scene(Book([unserved]), GitHub([*answers] or [QUEUED]))


async def test_a_launch_that_failed_is_planned_again_without_a_question() -> None:
    """There was no runner that GitHub could have given the job to."""
    it = scene(Unserved(demand(), ended(Reason.IMAGE_NOT_FOUND, handed_over=False)))
    await it.passes(TICK)
    ((setback, pause),) = it.book.renewed
    assert (setback, it.github.asked, it.woken) == ("It fell over.", [], 1)
    assert timedelta() <= pause <= timedelta(seconds=5)


async def test_a_runner_that_died_is_made_again_if_the_job_still_waits() -> None:
    it = scene(Unserved(demand(), ended(Reason.HOST_LOST)))
    await it.passes(TICK)
    assert it.github.asked == [(Owner(5, "octo-org/example", "octo-org"), 77)]
    assert len(it.book.renewed) == 1


async def test_a_runner_that_ended_well_may_have_served_the_job_of_which_github_is_about_to_tell() -> None:
    it = scene(Unserved(demand(), ended(None)))
    await it.passes(GRACE)
    assert it.github.asked == []
    await it.passes(TICK)
    ((setback, _),) = it.book.renewed
    assert setback == "Its runner ended without having run it."


@pytest.mark.parametrize(
    "answer", [Unavailable(Reason.GITHUB_UNAVAILABLE, "away"), Refused(Reason.GITHUB_REFUSED, "403")]
)
async def test_while_github_does_not_answer_nothing_is_concluded(answer: Exception) -> None:
    it = scene(Unserved(demand(), ended()), answer)
    await it.passes(timedelta(hours=1))
    assert it.book.renewed == []
    assert len(it.github.asked) == timedelta(hours=1) // ASK_AGAIN, "and it is asked now and then"
    it.github.answers = [QUEUED]
    await it.passes(ASK_AGAIN + TICK)
    assert len(it.book.renewed) == 1


async def test_a_job_that_github_does_not_show_is_not_served_on_a_guess() -> None:
    it = scene(Unserved(demand(), ended()), None)
    await it.passes(timedelta(minutes=10))
    assert (it.book.renewed, it.told) == ([], [])


@pytest.mark.parametrize(
    "seen",
    [
        WorkflowJob("in_progress", None, 3, "another"),
        WorkflowJob("completed", "cancelled", None, None),
        WorkflowJob("waiting", None, None, None),
    ],
)
async def test_what_github_says_instead_is_told_as_an_event_would(seen: WorkflowJob) -> None:
    it = scene(Unserved(demand(), ended()), seen)
    await it.passes(TICK)
    (event,) = it.told
    assert (event.action, event.conclusion, event.runner_id, event.runner_name) == (
        seen.status,
        seen.conclusion,
        seen.runner_id,
        seen.runner_name,
    )
    assert (event.job_id, event.labels, it.book.renewed) == (77, demand().said.labels, [])


async def test_a_status_that_no_event_has_is_told_by_none() -> None:
    it = scene(Unserved(demand(), ended()), WorkflowJob("requested", None, None, None))
    await it.passes(TICK)
    assert (it.told, it.book.renewed) == ([], [])


async def test_each_time_it_is_planned_later_up_to_a_bound() -> None:
    longest = timedelta()
    for runners in (1, 4, 19):
        for _ in range(50):
            it = scene(Unserved(demand(runners), ended(handed_over=False)))
            await it.passes(TICK)
            longest = max(longest, it.book.renewed[0][1])
        assert longest <= min(LONGEST_PAUSE, timedelta(seconds=5) * 2 ** (runners - 1))
    assert longest > LONGEST_PAUSE / 2


async def test_what_was_renewed_is_counted_by_why() -> None:
    it = scene(Unserved(demand(), ended(Reason.RUNNER_NOT_ONLINE, handed_over=False)))
    await it.passes(TICK)
    it.book.found = [Unserved(demand(), None)]
    await it.passes(TICK)
    (measure,) = it.renewals.measures()
    assert measure.values == {(("reason", "runner_not_online"),): 1, (("reason", "lost"),): 1}
