"""Demands whose runner has ended without having served them get another one: later each time, and not without end.

A runner has served a demand when GitHub says that it has run the job, and no sooner: that its program ended well says nothing.
So where a runner was started, GitHub is asked whether the job still waits. While it does not answer nothing is concluded.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.jobs.job import Status
from chaser.jobs.retry import backoff
from chaser.measures import Measure, Sort
from chaser.runners.demand import Demand
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.registration import Owner, WorkflowJob, WorkflowJobs
from chaser.runners.unserved import EndedRunner, Unserved, UnservedDemands

log = structlog.stdlib.get_logger("chaser.github")

TICK = timedelta(seconds=5)
"""Between two looks: runners end in other processes too, and some by nobody's word."""
GRACE = timedelta(seconds=30)
"""For GitHub to tell what a runner that ended well has run."""
ASK_AGAIN = timedelta(minutes=1)
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)

Tell = Callable[[WorkflowJobEvent], Awaitable[object]]


class Renewals:
    def __init__(
        self,
        demands: UnservedDemands,
        workflow_jobs: Callable[[], WorkflowJobs | None],
        clock: Clock,
        *,
        tell: Tell,
        awaken: Callable[[], None],
    ) -> None:
        """`tell` is told what GitHub says of a job, as an event would tell it; `awaken` is called when a runner was planned."""
        self._demands = demands
        self._workflow_jobs = workflow_jobs
        self._clock = clock
        self._tell = tell
        self._awaken = awaken
        self._asked: dict[int, float] = {}
        """When GitHub was last asked about a demand, on the monotonic clock."""
        self._renewed: Counter[str] = Counter()

    def measures(self) -> Sequence[Measure]:
        return (
            Measure(
                "chaser_demands_renewed_total",
                "Workflow jobs for which this process has planned another runner, by the reason with which the last one ended.",
                Sort.COUNTER,
                {(("reason", reason),): count for reason, count in self._renewed.items()},
            ),
        )

    async def watch(self) -> None:
        """Until cancelled; the first look is at once."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("Cannot look for unserved jobs yet.", action="renew_later", error=error.message)
            await asyncio.sleep(TICK.total_seconds())

    async def look(self) -> None:
        """Once, at all of them. Raises `Unavailable` where the store does not answer."""
        found = await self._demands.unserved()
        present = {each.demand.id for each in found}
        self._asked = {number: at for number, at in self._asked.items() if number in present}
        # Not before: where all is well, nothing is written.
        if not found or not await self._demands.turn("unserved", TICK * 0.9, self._clock.now()):
            return
        for each in found:
            if await self._waits_on(each):
                await self._renew(each)

    async def _waits_on(self, unserved: Unserved) -> bool:
        """Whether its job surely waits for a runner at GitHub."""
        job, demand = unserved.job, unserved.demand
        if job is None or not job.handed_over:
            return True  # there was no runner that GitHub could have given it to
        github, now = self._workflow_jobs(), self._clock.monotonic()
        asked = self._asked.get(demand.id, float("-inf"))
        if github is None or early(job, self._clock.now()) or now - asked < ASK_AGAIN.total_seconds():
            return False
        self._asked[demand.id] = now
        try:
            seen = await github.get(_owner(demand), demand.id)
        except (Refused, Unavailable) as error:
            log.warning(
                "Cannot look at a job.", action="unseen", workflow_job_id=demand.id, error=error.message
            )
            return False
        if seen is None or seen.status == "queued":
            return seen is not None
        event = told(demand, seen)
        if event is not None:
            await self._tell(event)
        return False

    async def _renew(self, unserved: Unserved) -> None:
        job, demand = unserved.job, unserved.demand
        reason, said = ended(job)
        pause = backoff(max(1, demand.runners), FIRST_PAUSE, LONGEST_PAUSE)
        recorded = await self._demands.renew(unserved, said, pause, self._clock.now())
        if not recorded.planned:
            return
        self._renewed[reason] += 1
        log.warning(
            "A workflow job's runner has ended without it; another one is planned.",
            action="renewed",
            workflow_job_id=demand.id,
            job_id=recorded.job_id,
            reason=reason,
        )
        self._awaken()


def early(job: EndedRunner, now: datetime) -> bool:
    """Whether GitHub may be about to tell what it has run. Pure."""
    return job.status is Status.SUCCEEDED and now - job.finished_at < GRACE


def ended(job: EndedRunner | None) -> tuple[str, str]:
    """How a runner ended: in a word, and in a sentence. Pure."""
    if job is None:
        return "lost", "It has no runner any more."
    if job.reason is None:
        return "unserved", "Its runner ended without having run it."
    return job.reason.value, job.message or f"Its runner ended with {job.reason.value}."


def told(demand: Demand, seen: WorkflowJob) -> WorkflowJobEvent | None:
    """What GitHub shows, as an event would tell it; none: nothing that an event tells. Pure."""
    if seen.status not in {"waiting", "in_progress", "completed"}:
        return None
    return replace(
        demand.said,
        action=seen.status,
        status=seen.status,
        conclusion=seen.conclusion,
        runner_id=seen.runner_id,
        runner_name=seen.runner_name,
    )


def _owner(demand: Demand) -> Owner:
    said = demand.said
    return Owner(said.installation_id or 0, said.repository, said.organization)
