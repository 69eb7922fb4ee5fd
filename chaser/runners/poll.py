"""A look at the workflow jobs of an installation's repositories: what GitHub shows is told as an event would tell it.

A job is always told of by its id, never counted, and goes the way of a delivery; so a look may be taken twice, by two services
at once, or late, and changes nothing that is known already. From an answer that did not come nothing follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.runners.demand import Demand, heard
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import JobNews, Learned
from chaser.runners.lookout import Lookout, RunAttempt, Seen
from chaser.runners.ports import Known, Looks
from chaser.runners.reception import Reception
from chaser.runners.registration import Owner

STATUSES = ("queued", "in_progress", "waiting")
"""Of runs some of whose jobs may wait for a runner."""
SPARE = 0.1
"""What is left of the rate limit for those who have jobs to serve: below it nobody looks."""

_UNANSWERED = 3
"""After so many repositories in a row for which GitHub has no answer the rest is left to the next look."""

_log = structlog.stdlib.get_logger("chaser.github")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What keeps a look from doing too much."""

    young: timedelta = timedelta(minutes=1)
    """A job of this age may still be told of by its delivery, and is left to that."""
    starts: int = 100
    """Runners that one look at an installation may have started."""
    runs: int = 100
    """Workflow runs whose jobs one look at an installation reads."""
    missing: timedelta = timedelta(minutes=4)
    """How long GitHub does not show a job until it is believed."""


@dataclass(slots=True)
class Findings:
    """What a look at one installation has found."""

    waiting: int = 0
    """Jobs that wait for a runner, and had none here: as many would be started without any bounds."""
    started: int = 0
    left: int = 0
    """Of those that wait, the ones that were left to the next look."""
    unread: int = 0
    """Runs that were left to it."""
    failed: int = 0
    """Repositories that GitHub did not let be looked at."""
    unfinished: list[Owner] = field(default_factory=list[Owner])
    """Where something was left to the next look."""


@dataclass(slots=True)
class _Look:
    """One look at one installation."""

    lookout: Lookout
    learned: Learned
    demands: Mapping[str, Sequence[Demand]]
    """Those that are unsettled, by repository in lower case."""
    runs: int
    """How many may still be read."""
    findings: Findings = field(default_factory=Findings)


class Poll:
    def __init__(self, looks: Looks, reception: Reception, clock: Clock, bounds: Bounds) -> None:
        self._looks = looks
        self._reception = reception
        self._clock = clock
        self._bounds = bounds
        self._missed: dict[int, float] = {}
        """Since when GitHub does not show a job, on the monotonic clock. After a restart it is found out anew."""
        self._read: dict[tuple[int, int], float] = {}
        """When a run was read last: those that were not for the longest time come first."""

    async def look(
        self, lookout: Lookout, installation_id: int, owners: Iterable[Owner], learned: Learned
    ) -> Findings:
        """At these repositories of an installation, and at those for which something is unsettled.

        One that cannot be looked at is left out; when GitHub answers nothing, so are the rest.
        """
        unsettled = await self._looks.unsettled(installation_id)
        by_name = {name: [*each] for name, each in groupby(sorted(unsettled, key=_place), _place)}
        look = _Look(lookout, learned, by_name, self._bounds.runs)
        places = {owner.repository.lower(): owner for owner in owners}
        for demand in unsettled:
            places.setdefault(_place(demand), _run(demand).owner)
        unanswered = 0
        for owner in places.values():
            if lookout.allowance.remaining(installation_id) < SPARE or unanswered >= _UNANSWERED:
                look.findings.unfinished.append(owner)
                continue
            before = look.findings.left + look.findings.unread + look.findings.failed
            answered = await self._leniently(look, owner)
            unanswered = 0 if answered else unanswered + 1
            if look.findings.left + look.findings.unread + look.findings.failed > before:
                look.findings.unfinished.append(owner)
        self._forget(unsettled)
        return look.findings

    async def _leniently(self, look: _Look, owner: Owner) -> bool:
        """Whether GitHub gave an answer."""
        try:
            await self._repository(look, owner)
        except (Refused, Unavailable) as error:
            look.findings.failed += 1
            _log.warning(
                "Cannot look at a repository's jobs.",
                action="poll_failed",
                repository=owner.repository,
                error=error.message,
            )
            return isinstance(error, Refused)
        return True

    async def _repository(self, look: _Look, owner: Owner) -> None:
        unsettled = look.demands.get(owner.repository.lower(), ())
        shown: dict[tuple[int, int], RunAttempt] = {}
        for status in STATUSES:
            found = await look.lookout.runs.having(owner, status)
            if found is None:  # GitHub shows no such repository
                for demand in unsettled:
                    await self._miss(look, demand)
                return
            shown.update({(run.id, run.attempt): run for run in found})
        mine = {(run.id, run.attempt): run for run in map(_run, unsettled)}
        for key, run in self._in_turn({**mine, **shown}, mine):
            if look.runs <= 0:
                look.findings.unread += 1
                continue
            look.runs -= 1
            seen = await look.lookout.runs.jobs(run)
            self._read[key] = self._clock.monotonic()
            await self._hear(look, seen, [demand for demand in unsettled if _key(demand) == key])

    def _in_turn(
        self, runs: Mapping[tuple[int, int], RunAttempt], mine: Mapping[tuple[int, int], RunAttempt]
    ) -> Sequence[tuple[tuple[int, int], RunAttempt]]:
        """Those first of which something is unsettled, then those that were not read for the longest time."""
        never = float("-inf")
        return sorted(runs.items(), key=lambda each: (each[0] not in mine, self._read.get(each[0], never)))

    async def _hear(self, look: _Look, seen: Seen | None, unsettled: Sequence[Demand]) -> None:
        shown = set[int]() if seen is None else {event.job_id for event in seen.jobs}
        if seen is not None:
            known = await self._looks.known(shown)
            for event in seen.jobs:
                self._missed.pop(event.job_id, None)
                await self._tell(look, event, known.get(event.job_id), seen.at)
            await self._confirm(seen, known)
        for demand in unsettled:
            if demand.id not in shown:
                await self._miss(look, demand)

    async def _tell(self, look: _Look, event: WorkflowJobEvent, known: Known | None, at: datetime) -> None:
        news = self._reception.ruling(event).news
        if not isinstance(news, JobNews) or not worth_telling(news, known, self._clock.now()):
            return
        if starts(news, known):
            look.findings.waiting += 1
            young = event.created_at is not None and at - event.created_at < self._bounds.young
            if young or look.findings.started >= self._bounds.starts:
                look.findings.left += 1
                return
            look.findings.started += 1
        await self._reception.see(event, look.learned)

    async def _confirm(self, seen: Seen, known: Mapping[int, Known]) -> None:
        """What is as it was, was so at a later time than was known."""
        found: dict[tuple[str, datetime], set[int]] = {}
        for event in seen.jobs:
            before = known.get(event.job_id)
            if (
                before is not None
                and event.gated_at is not None
                and before.demand.said.action == event.action
            ):
                found.setdefault((event.action, event.gated_at), set()).add(event.job_id)
        for (action, at), ids in found.items():
            await self._looks.confirmed(action, ids, at)

    async def _miss(self, look: _Look, demand: Demand) -> None:
        """GitHub does not show it. That may be an error of GitHub's: so it is believed after some time alone."""
        now = self._clock.monotonic()
        since = self._missed.setdefault(demand.id, now)
        if now - since < self._bounds.missing.total_seconds():
            return
        del self._missed[demand.id]
        _log.info(
            "GitHub does not show a workflow job any more.", action="job_vanished", workflow_job_id=demand.id
        )
        await self._reception.miss(demand, look.learned)

    def _forget(self, unsettled: Sequence[Demand]) -> None:
        """What is long ago."""
        before = self._clock.monotonic() - timedelta(days=1).total_seconds()
        self._read = {key: at for key, at in self._read.items() if at > before}
        self._missed = {job_id: since for job_id, since in self._missed.items() if since > before}


def worth_telling(news: JobNews, known: Known | None, now: datetime) -> bool:
    """Whether it says anything that is not known. Pure.

    That a job has begun or ended without us is worth knowing too: that it was queued may be told late.
    """
    if known is None:
        return True
    before, after = known.demand, heard(known.demand, news, now)
    if _told(after) != _told(before):
        return True
    return after.owed and news.new is not None and not known.has_runner


def starts(news: JobNews, known: Known | None) -> bool:
    """Whether a runner would be started for it. Pure."""
    if news.new is None:
        return False
    return known is None or not known.demand.owed or not known.has_runner


def _told(demand: Demand) -> tuple[object, ...]:
    """All that matters of a demand but when it was so."""
    said = demand.said
    return (
        *(demand.state, demand.decision, said.action, said.conclusion, said.runner_id, said.runner_name),
        said.installation_id,
    )


def _key(demand: Demand) -> tuple[int, int]:
    return demand.said.run_id, demand.said.run_attempt


def _place(demand: Demand) -> str:
    return demand.said.repository.lower()


def _run(demand: Demand) -> RunAttempt:
    said = demand.said
    owner = Owner(said.installation_id or 0, said.repository, said.organization)
    return RunAttempt(said.run_id, said.run_attempt, owner, said.private)
