"""Looking at the runs of jobs that strangers may have caused, before anything is made for them.

A delivery says nothing of who is behind a job, and its answer may not wait for GitHub. So such a job is stored as it comes,
and this asks: once for each attempt of a run, whatever the number of its jobs.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import JobId, new_job_id
from chaser.jobs.job import NewJob
from chaser.jobs.reason import Reason
from chaser.measures import Measure, Sort
from chaser.runners.decide import Ours, news_of, owed_now, refusing, repository_of
from chaser.runners.demand import Demand
from chaser.runners.inbox import Recorded
from chaser.runners.labels import Declined
from chaser.runners.policy import Level
from chaser.runners.ports import Approval, Screenings
from chaser.runners.registration import Owner, WorkflowRuns
from chaser.runners.rules import Cleared, Held, Run, Turned, Verdict

LOOK = timedelta(seconds=5)
"""How often it is looked for what another process has stored, and for what could not be asked."""
AT_ONCE = 4
"""Questions to GitHub."""
MOST = 1000
"""Jobs in a round."""
PAGE = 100
STILL_THERE = timedelta(hours=48)
"""How long GitHub may let a job wait: what was refused before that is not decided again."""

_log = structlog.stdlib.get_logger("chaser.screening")


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Of a run."""

    run_id: int
    number: int


class Screening:
    def __init__(
        self,
        screenings: Screenings,
        runs: Callable[[], WorkflowRuns | None],
        ours: Ours,
        clock: Clock,
        *,
        awaken: Callable[[], None],
        cancelled: Callable[[JobId], None],
    ) -> None:
        """`runs` is asked each time: credentials can come while the service runs. Of the last two one is called after a
        runner was newly owed, the other for each job that is not wanted any more."""
        self._screenings = screenings
        self._runs = runs
        self._ours = ours
        self._clock = clock
        self._awaken = awaken
        self._cancelled = cancelled
        self._bell = asyncio.Event()
        self._looking = asyncio.Lock()
        self._verdicts = {"passed": 0, "refused": 0, "held": 0}
        self._not_before: dict[_Attempt, float] = {}
        """When GitHub may be asked again for what it did not say, on the monotonic clock."""

    def wake(self) -> None:
        """There is a run to be looked at."""
        self._bell.set()

    async def watch(self) -> None:
        """First what other settings had refused, then every run that is to be looked at."""
        decided = False
        while True:
            self._bell.clear()
            try:
                if not decided:
                    await self.decide_again()
                    decided = True
                await self.look()
            except Unavailable as error:
                _log.warning("Could not look for runs.", action="screening", error=error.message)
            try:
                async with asyncio.timeout(LOOK.total_seconds()):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """One round: every run that is to be looked at, as far as GitHub answers. Raises `Unavailable` of the store."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        attempts = _by_attempt(await self._screenings.pending(MOST))
        now = self._clock.monotonic()
        self._not_before = {each: at for each, at in self._not_before.items() if each in attempts}
        due = [each for each in attempts if self._not_before.get(each, now) <= now]
        free = asyncio.Semaphore(AT_ONCE)

        async def one(attempt: _Attempt) -> None:
            async with free:
                await self._screen(attempt, attempts[attempt])

        async with asyncio.TaskGroup() as group:
            for attempt in due:
                group.create_task(one(attempt))

    async def approve(self, demand: Demand, approved_by: str) -> None:
        """Let the run of a held job run, whichever of its jobs are held or still to come. Raises `Unavailable`."""
        await self._screenings.approve(Approval(demand.said.run_id, approved_by, self._clock.now()))
        await self.look()

    async def decide_again(self) -> None:
        """What was refused or held by other settings than those of now. Raises `Unavailable`."""
        digest = self._ours.digest
        if await self._screenings.settings() == digest:
            return
        since, last, number = self._clock.now() - STILL_THERE, 0, 0
        while page := await self._screenings.undecided(since, last, PAGE):
            last = page[-1].id
            for demand in page:
                now = self._clock.now()
                news = news_of(demand.said, self._ours, new_job_id(now), now)
                if news is not None:
                    self._tell(await self._screenings.reconsider(news, now))
                    number += 1
        await self._screenings.decided_by(digest)
        _log.info("Decided again what was refused.", action="decided_again", number=number)

    def measures(self) -> Sequence[Measure]:
        values = {(("verdict", name),): float(count) for name, count in self._verdicts.items()}
        text = "Workflow jobs whose run was looked at, by what was made of it."
        return [Measure("chaser_github_screened_total", text, Sort.COUNTER, values)]

    async def _screen(self, attempt: _Attempt, demands: Sequence[Demand]) -> None:
        verdict = await self._verdict(attempt, demands[0])
        if verdict is None:
            return
        for demand in demands:
            now = self._clock.now()
            judged, new = self._fitted(verdict, demand)
            self._count(judged)
            self._tell(await self._screenings.judge(demand.id, judged, new, now))

    async def _verdict(self, attempt: _Attempt, demand: Demand) -> Verdict | None:
        """None: GitHub has not said yet."""
        repository, rules = repository_of(demand.said), self._ours.policy.rules
        try:
            run = await self._run(attempt, demand)
        except Refused as error:
            return Turned(
                f"GitHub does not show the run that it is of, so nobody knows whose it is: {error.message}"
            )
        except Unavailable as error:
            pause = max(error.retry_after or 0, LOOK.total_seconds())
            self._not_before[attempt] = self._clock.monotonic() + pause
            _log.warning(
                "GitHub could not be asked about a run.",
                action="screening_later",
                run_id=attempt.run_id,
                error=error.message,
            )
            return None
        if run is None:
            return Turned("GitHub shows no run of that number, so nobody knows whose it is.")
        return rules.judge(repository.full_name, run, private=repository.private)

    async def _run(self, attempt: _Attempt, demand: Demand) -> Run | None:
        said = demand.said
        association = self._ours.policy.rules.association_counts(said.repository, private=said.private)
        known = await self._screenings.run(attempt.run_id, attempt.number)
        if known is not None and not (association and known.association is None):
            return known
        runs = self._runs()
        if runs is None or said.installation_id is None:
            raise Unavailable(Reason.NO_APP_CREDENTIALS, "There are no credentials to ask GitHub with.")
        owner = Owner(said.installation_id, said.repository, said.organization, Level.REPOSITORY)
        run = await runs.get(owner, attempt.run_id, attempt.number, association=association)
        if run is not None:
            await self._screenings.keep(attempt.run_id, attempt.number, run, self._clock.now())
        return run

    def _fitted(self, verdict: Verdict, demand: Demand) -> tuple[Verdict, NewJob | None]:
        """What it comes to for this job, whose label may not go together with what the rules say."""
        now = self._clock.now()
        if not isinstance(verdict, Turned):
            profile = verdict.profile if isinstance(verdict, Cleared) else None
            new = owed_now(demand.said, self._ours, profile, new_job_id(now), now)
            if not isinstance(new, Declined):
                return verdict, new
            verdict = Turned(new.message)
        return verdict, refusing(demand.said, self._ours, verdict.message, new_job_id(now), now)

    def _count(self, verdict: Verdict) -> None:
        match verdict:
            case Cleared():
                self._verdicts["passed"] += 1
            case Turned():
                self._verdicts["refused"] += 1
            case Held():
                self._verdicts["held"] += 1

    def _tell(self, recorded: Recorded) -> None:
        for job_id in recorded.cancelled:
            self._cancelled(job_id)
        if recorded.planned:
            self._awaken()
        if recorded.screened:
            self.wake()


def _by_attempt(demands: Iterable[Demand]) -> Mapping[_Attempt, Sequence[Demand]]:
    found: dict[_Attempt, list[Demand]] = {}
    for demand in demands:
        found.setdefault(_Attempt(demand.said.run_id, demand.said.run_attempt), []).append(demand)
    return found
