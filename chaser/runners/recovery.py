"""When to look at GitHub for what it has not told: the App's deliveries, its repositories' jobs, and everything at the start.

Of several services on one database each look is one's at a time (`Looks.turn`); that it were taken twice would be harmless.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.measures import Measure, Sort
from chaser.runners.event import InstallationEvent
from chaser.runners.inbox import Learned
from chaser.runners.installation import Installation, after
from chaser.runners.lookout import Lookout
from chaser.runners.poll import SPARE, Findings, Poll
from chaser.runners.ports import Installations, Looks
from chaser.runners.reception import Reception
from chaser.runners.redeliveries import Redeliveries
from chaser.runners.registration import Owner

SPARING = 0.5
"""Below this share of the rate limit looks are taken a third as often."""
_TICK = 5.0
"""Seconds between two thoughts of whether a look is due; less where looks are taken more often."""
_LOOKS = ("deliveries", "installations", "everything", "poll")

_log = structlog.stdlib.get_logger("chaser.github")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often each look is taken, while there is plenty of the rate limit."""

    deliveries: timedelta = timedelta(minutes=2)
    polls: timedelta = timedelta(minutes=5)
    """Of the repositories that something was heard of lately."""
    everything: timedelta = timedelta(hours=1)
    """Of all repositories that the App may see: whether any run there waits."""
    again: timedelta = timedelta(minutes=1)
    """After a look that has left something to the next one."""


def pace(every: timedelta, left: float) -> timedelta | None:
    """How long to wait between two looks, with so much left of the rate limit; none: for now no look is taken. Pure."""
    if left < SPARE:
        return None
    return every if left >= SPARING else 3 * every


class Recovery:
    def __init__(
        self,
        lookout: Callable[[], Lookout | None],
        looks: Looks,
        installations: Installations,
        reception: Reception,
        redeliveries: Redeliveries,
        poll: Poll,
        clock: Clock,
        rhythm: Rhythm,
    ) -> None:
        """`lookout` is asked each time, since credentials may come and change while the service runs; none: there are none."""
        self._lookout = lookout
        self._looks = looks
        self._installations = installations
        self._reception = reception
        self._redeliveries = redeliveries
        self._poll = poll
        self._clock = clock
        self._rhythm = rhythm
        self._begun_at = clock.monotonic()
        self._last: Lookout | None = None
        self._whole = set[int]()
        """Installations at all of which was looked since this process began, or got other credentials."""
        self._tried = set[int]()
        """Those at which it began to."""
        self._unfinished = dict[int, Sequence[Owner]]()
        """Where their last look has left something to the next."""
        self._asked = dict[str, float]()
        """When to ask again whose turn a look is, on the monotonic clock."""
        self._found = dict[int, Findings]()
        self._taken = Counter[str](dict.fromkeys(_LOOKS, 0))
        self._failed = Counter[str](dict.fromkeys(_LOOKS, 0))

    def measures(self) -> Sequence[Measure]:
        found = self._found.values()
        return (
            Measure(
                "chaser_github_would_start",
                "Workflow jobs that waited for a runner at the last looks and had none here. It falls back to 0 when their "
                "runners are planned; if it stays, see the log for polls that fail.",
                Sort.GAUGE,
                {
                    (("bound", "none"),): sum(each.waiting for each in found),
                    (("bound", "left"),): sum(each.left for each in found),
                },
            ),
            Measure(
                "chaser_github_looks_total",
                "Looks that this process has taken at GitHub, to find what was not delivered.",
                Sort.COUNTER,
                {(("look", look),): count for look, count in self._taken.items()},
            ),
            Measure(
                "chaser_github_looks_failed_total",
                "Those of them that GitHub did not answer, or refused; the log says why.",
                Sort.COUNTER,
                {(("look", look),): count for look, count in self._failed.items()},
            ),
        )

    async def watch_deliveries(self) -> None:
        """Until cancelled."""
        while True:
            await self._leniently("deliveries", self.deliveries())
            await asyncio.sleep(self._tick(self._rhythm.deliveries))

    async def watch_everything(self) -> None:
        """Until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._tick(self._rhythm.everything))

    async def watch_jobs(self) -> None:
        """Until cancelled. Beside the looks at everything, which may take long."""
        while True:
            await self.polls()
            await asyncio.sleep(self._tick(self._rhythm.polls))

    async def sweep(self) -> None:
        """The looks at everything that are due. One that fails is taken again a little later; nothing follows from it."""
        await self._leniently("installations", self.installations())
        for each in await self._living():
            await self._leniently("everything", self.everything(each))

    async def polls(self) -> None:
        """The looks at jobs that are due."""
        for each in await self._living():
            await self._leniently("poll", self.jobs(each))

    async def deliveries(self) -> None:
        """A look at the App's deliveries, if it is due."""
        lookout = self._lookout()
        every = lookout and pace(self._rhythm.deliveries, lookout.allowance.remaining(None))
        if lookout is None or every is None or not await self._turn("deliveries", every):
            return
        self._taken["deliveries"] += 1
        await self._redeliveries.look(lookout.deliveries)

    async def installations(self) -> None:
        """A look at where the App is installed, if it is due."""
        lookout = self._lookout()
        if lookout is None:
            return
        if self._last is not None and lookout is not self._last:
            self._begun_at = self._clock.monotonic()
            self._whole, self._tried, self._asked = set[int](), set[int](), dict[str, float]()
        self._last = lookout
        if await self._first_turn("installations", 0):
            self._taken["installations"] += 1
            await self._list_installations(lookout)
            self._whole.add(0)

    async def everything(self, installation_id: int) -> None:
        """A look at all repositories of an installation: at the start, with other credentials, and now and then, if it is due.

        At those that nothing was heard of lately only whether a run waits there.
        """
        lookout, start = self._lookout(), installation_id not in self._whole
        enough = SPARE if start else SPARING
        if lookout is None or lookout.allowance.remaining(installation_id) < enough:
            return
        if not await self._first_turn(f"everything/{installation_id}", installation_id):
            return
        self._taken["everything"] += 1
        found = [*await self._lively(installation_id)]
        known = {owner.repository.lower() for owner in found}
        for repository in await lookout.places.repositories(installation_id):
            owner = Owner(installation_id, repository, None)
            if repository.lower() in known or lookout.allowance.remaining(installation_id) < enough:
                continue
            if await lookout.runs.having(owner, "queued"):
                found.append(owner)
        await self._turn(f"poll/{installation_id}", self._rhythm.polls)  # this is one as well
        await self._look(lookout, installation_id, found)
        self._whole.add(installation_id)

    async def jobs(self, installation_id: int) -> None:
        """A look at the jobs of an installation's repositories, if it is due."""
        lookout = self._lookout()
        if lookout is None:
            return
        wanted = self._rhythm.again if installation_id in self._unfinished else self._rhythm.polls
        every = pace(min(wanted, self._rhythm.polls), lookout.allowance.remaining(installation_id))
        if every is None or not await self._turn(f"poll/{installation_id}", every):
            return
        self._taken["poll"] += 1
        owners = [*await self._lively(installation_id), *self._unfinished.get(installation_id, ())]
        await self._look(lookout, installation_id, owners)

    async def _look(self, lookout: Lookout, installation_id: int, owners: Iterable[Owner]) -> None:
        learned = Learned.POLL if installation_id in self._whole else Learned.START_UP
        findings = await self._poll.look(lookout, installation_id, owners, learned)
        self._found[installation_id] = findings
        self._failed["poll"] += findings.failed
        if findings.unfinished:
            self._unfinished[installation_id] = findings.unfinished
        else:
            self._unfinished.pop(installation_id, None)
        if findings.started:
            _log.warning(
                "Workflow jobs that no delivery had told of were found.",
                action="jobs_found",
                installation_id=installation_id,
                jobs=findings.started,
            )

    async def _list_installations(self, lookout: Lookout) -> None:
        """Those that came, changed or went unheard."""
        known = {each.id: each for each in await self._installations.list()}
        listed = await lookout.places.installations()
        now = self._clock.now()
        for event in listed:
            before = known.get(event.installation_id)
            if before is None or replace(after(before, event, now), changed_at=before.changed_at) != before:
                await self._reception.see(event, Learned.POLL)
        for gone in missing(known.values(), listed):
            event = InstallationEvent("installation", "deleted", gone.id, None, None, None, None, None)
            await self._reception.see(event, Learned.POLL)

    async def _living(self) -> Sequence[int]:
        """The installations that GitHub lets the App look at."""
        try:
            known = await self._installations.list()
        except Unavailable as error:
            _log.warning("Cannot list the installations.", action="look_failed", error=error.message)
            return ()
        return [each.id for each in known if each.deleted_at is None and each.suspended_at is None]

    async def _lively(self, installation_id: int) -> Sequence[Owner]:
        owners = await self._looks.lively(self._clock.now())
        return [owner for owner in owners if owner.installation_id == installation_id]

    async def _first_turn(self, name: str, number: int) -> bool:
        """Whether the look is due: the first one since this process began, or the next. Another service that has begun it
        since then has done it for this one, too."""
        if number in self._whole:
            return await self._turn(name, self._rhythm.everything)
        if number in self._tried:  # and failed
            return await self._turn(name, self._rhythm.again)
        elapsed = timedelta(seconds=self._clock.monotonic() - self._begun_at)
        if await self._looks.turn(name, elapsed, self._clock.now()):
            self._tried.add(number)
            return True
        self._whole.add(number)
        return False

    async def _turn(self, name: str, every: timedelta) -> bool:
        """Not asked more often than need be."""
        now = self._clock.monotonic()
        if now < self._asked.get(name, now):
            return False
        taken = await self._looks.turn(name, every, self._clock.now())
        pause = min(every, self._rhythm.again).total_seconds()
        self._asked[name] = now + (pause if taken else self._tick(every))
        return taken

    async def _leniently(self, look: str, work: Awaitable[None]) -> None:
        try:
            await work
        except (Unavailable, Refused) as error:
            self._failed[look] += 1
            _log.warning("A look at GitHub failed.", action="look_failed", look=look, error=error.message)

    def _tick(self, every: timedelta) -> float:
        return min(_TICK, every.total_seconds())


def missing(known: Iterable[Installation], listed: Sequence[InstallationEvent]) -> Sequence[Installation]:
    """Installations that GitHub does not list any more. Pure.

    If it lists none of those that are known, these are another App's: nothing is concluded then, since an installation that
    has been deleted never comes back.
    """
    living = [each for each in known if each.deleted_at is None]
    shown = {event.installation_id for event in listed}
    if not any(each.id in shown for each in living):
        return ()
    return [each for each in living if each.id not in shown]
