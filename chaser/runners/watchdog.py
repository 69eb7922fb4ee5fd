"""Looks after runners from outside: no registration outlives its sandbox, and no sandbox its registration.

A registration is deleted first, always: where GitHub deletes it (204), or has none any more (404), no job can come, and the
sandbox goes; where GitHub keeps it (422), it is running a job, and is left to it. While GitHub does not answer nothing is
concluded. A list of GitHub's may lag by minutes; what it shows decides only whether GitHub is asked to delete.

Of several services on one database each look is one's at a time.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import JobId
from chaser.jobs.reason import Reason
from chaser.measures import Measure, Sort
from chaser.runners.demand import State
from chaser.runners.fates import REASONS, Patience, fate
from chaser.runners.recovery import pace
from chaser.runners.registration import Owner, Registrar, Registration, Removal
from chaser.runners.sights import Sights
from chaser.runners.sweep import GRACE, Sweep
from chaser.runners.wards import Ward, Wards

log = structlog.stdlib.get_logger("chaser.github")

TICK = timedelta(seconds=10)
"""Between two looks at how long runners have waited: nothing tells of what does not happen."""
OF_LATE = timedelta(days=2)
"""A registration that was never used GitHub deletes itself after a day."""
SHOWN_WITHIN = timedelta(minutes=10)
"""By how much lists may lag."""
PROMISED = timedelta(minutes=1)
"""A sandbox that goes on for longer without its registration is a ghost."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often GitHub's lists of runners are read."""

    lists: timedelta = timedelta(minutes=2)
    """Where runners live, or may have been left."""

    @property
    def everywhere(self) -> timedelta:
        """Where any was of late: an attempt that another followed is known to nobody, but to GitHub."""
        return 2 * self.lists

    @property
    def tick(self) -> timedelta:
        return min(TICK, self.lists)


@dataclass(slots=True)
class _Place:
    owner: Owner
    wards: list[Ward] = field(default_factory=list[Ward])


class Watchdog:
    def __init__(
        self,
        registrar: Callable[[], Registrar | None],
        remaining: Callable[[int], float],
        wards: Wards,
        sweep: Sweep,
        clock: Clock,
        patience: Patience,
        rhythm: Rhythm,
        *,
        stop: Callable[[JobId, Reason], None],
    ) -> None:
        """`registrar` is asked each time: credentials can come while the service runs. `remaining` says which part is left of
        an installation's budget for calls. `stop` is told whose end has been asked for."""
        self._registrar = registrar
        self._remaining = remaining
        self._wards = wards
        self._sweep = sweep
        self._clock = clock
        self._patience = patience
        self._rhythm = rhythm
        self._stop = stop
        self._sights = Sights(clock)
        self._outlived = 0
        self._asked_everywhere = float("-inf")
        self._ended = Counter[Reason](dict.fromkeys(REASONS, 0))

    def measures(self) -> Sequence[Measure]:
        return (
            Measure(
                "chaser_ghost_sandboxes",
                "Runners that go on a minute after their registration was gone. If it stays above 0, see the log and the engine.",
                Sort.GAUGE,
                {(): self._outlived},
            ),
            Measure(
                "chaser_runners_ended_total",
                "Runners that this process has had ended, since they were of no use; `reason` is that of their job.",
                Sort.COUNTER,
                {(("reason", reason.value),): count for reason, count in self._ended.items()},
            ),
            *self._sweep.measures(),
        )

    async def watch(self) -> None:
        """Until cancelled; the first look is at once."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("Cannot look after runners yet.", action="watch_later", error=error.message)
            await asyncio.sleep(self._rhythm.tick.total_seconds())

    async def look(self) -> None:
        """Once, at all that is due. Raises `Unavailable` where the store does not answer."""
        registrar, now = self._registrar(), self._clock.now()
        if registrar is None:
            return
        wards = await self._wards.open(now - OF_LATE)
        self._outlived = await self._wards.outlived(now - PROMISED)
        # Not before: where there are no runners, next to nothing is written.
        if not (wards or self._everywhere_is_due()):
            return
        if not await self._wards.turn("runners", self._rhythm.tick * 0.9, now):
            return
        living = [ward for ward in wards if ward.live and ward.row.runner_id is not None and not ward.ending]
        self._sights.recall(living)
        for name, place in (await self._places(registrar, wards)).items():
            await self._list(registrar, name, place)
        for ward in living:
            await self._judge(registrar, ward)

    async def _places(self, registrar: Registrar, wards: Sequence[Ward]) -> Mapping[str, _Place]:
        """Those whose lists may be due, with the wards that are there."""
        found: dict[str, _Place] = {}
        owners: dict[Owner, list[Ward]] = {owner: [] for owner in self._sweep.haunted}
        for ward in wards:
            if self._doubtful(ward):
                owners.setdefault(ward.owner, []).append(ward)
        if await self._everywhere():
            lately = await self._wards.owners(self._clock.now() - OF_LATE)
            owners.update({owner: [] for owner in lately if owner not in owners})
        for owner, theirs in owners.items():
            try:
                place = await registrar.place(owner)
            except (Refused, Unavailable) as error:
                _unread(owner, error)
            else:
                found.setdefault(place, _Place(owner)).wards.extend(theirs)
        return found

    def _everywhere_is_due(self) -> bool:
        """Whether to ask for the turn; another service may have had it."""
        return self._clock.monotonic() - self._asked_everywhere >= self._rhythm.everywhere.total_seconds() / 4

    async def _everywhere(self) -> bool:
        if not self._everywhere_is_due():
            return False
        self._asked_everywhere = self._clock.monotonic()
        return await self._wards.turn("all runners", self._rhythm.everywhere, self._clock.now())

    def _doubtful(self, ward: Ward) -> bool:
        """Whether a list may say anything of it that matters: one that has its job is left to it, and one that is new, or has
        just ended, needs no other look. So a job on its usual way costs no list."""
        row, now = ward.row, self._clock.now()
        if not ward.live:
            return ward.ended_at is None or now - ward.ended_at >= GRACE
        waits = ward.serves not in {State.RUNNING, State.DONE}
        return waits and row.minted_at is not None and now - row.minted_at >= self._rhythm.lists / 2

    async def _list(self, registrar: Registrar, name: str, place: _Place) -> None:
        every = pace(self._rhythm.lists, self._remaining(place.owner.installation_id))
        if every is None or not await self._wards.turn(f"runners of {name}", every, self._clock.now()):
            return
        try:
            listed = await self._sweep.look(registrar, place.owner)
        except (Refused, Unavailable) as error:
            _unread(place.owner, error)
            return
        for ward in place.wards:
            shown = listed.get(ward.row.name)
            if self._sights.knows(ward):
                await self._see(ward, shown)
            elif shown is None and self._long_ended(ward):
                await self._wards.removed(ward.row.job_id, ward.row.attempt, self._clock.now())

    def _long_ended(self, ward: Ward) -> bool:
        """Of one whose registration's answer was lost: whether any list would show it by now."""
        return ward.ended_at is not None and self._clock.now() - ward.ended_at > SHOWN_WITHIN

    async def _see(self, ward: Ward, shown: Registration | None) -> None:
        self._sights.saw(ward, shown)
        if shown is not None and shown.online and ward.row.online_at is None:
            await self._wards.online(ward.row.job_id, ward.row.attempt, self._clock.now())

    async def _judge(self, registrar: Registrar, ward: Ward) -> None:
        reason = fate(ward.serves, self._sights.since(ward), self._patience)
        runner_id = ward.row.runner_id
        if reason is None or runner_id is None or self._sights.left(ward):
            return
        try:
            removal = await registrar.remove(ward.owner, runner_id)
        except (Refused, Unavailable) as error:
            self._sights.leave(ward, self._rhythm.lists)
            log.warning(
                "Could not delete a runner.", action="undeleted", runner=ward.row.name, error=error.message
            )
            return
        if removal is Removal.BUSY:
            self._sights.leave(ward, self._patience.sight)
            log.info(
                "GitHub keeps a runner: it has a job.", action="left", runner=ward.row.name, reason=reason
            )
            return
        await self._end(ward, reason)

    async def _end(self, ward: Ward, reason: Reason) -> None:
        job_id, attempt = ward.row.job_id, ward.row.attempt
        if await self._wards.condemned(job_id, attempt, reason, self._clock.now()):
            log.warning("A runner is ended.", action="runner_ended", job_id=job_id, reason=reason)
            self._ended[reason] += 1
            self._stop(job_id, reason)


def _unread(owner: Owner, error: Refused | Unavailable) -> None:
    log.warning("Cannot list runners.", action="unlisted", repository=owner.repository, error=error.message)
