"""Registrations that were left behind: by a sandbox that was lost, a service that crashed, an answer that did not come.

Only what bears this installation's name is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from chaser.clock import Clock
from chaser.ids import InstanceId
from chaser.measures import Measure, Sort
from chaser.runners.registration import Owner, Registrar, Registration, Removal, attempt_of, name_prefix
from chaser.runners.wards import Standing, Wards

log = structlog.stdlib.get_logger("chaser.github")

GRACE = timedelta(minutes=1)
"""A job that has just ended is settled by whoever worked on it, and a list may show its runner for a while longer."""
PROMISED = timedelta(minutes=5)
"""The longest that a registration is to outlive its sandbox."""


FORGOTTEN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class _Stray:
    """When it was first known to be one, and last; on the monotonic clock."""

    since: float
    seen: float
    owner: Owner


class Sweep:
    def __init__(self, wards: Wards, clock: Clock, instance: InstanceId) -> None:
        self._wards = wards
        self._clock = clock
        self._prefix = name_prefix(instance)
        self._strays: dict[str, _Stray] = {}
        """By name."""
        self._swept = 0

    def measures(self) -> Sequence[Measure]:
        now, strays = self._clock.monotonic(), self._strays.values()
        ghosts = [each for each in strays if each.seen - each.since > PROMISED.total_seconds()]
        return (
            Measure(
                "chaser_ghost_registrations",
                "Runners of ours that GitHub still has, five minutes after their sandbox was known to be gone. After a crash "
                "GitHub keeps them for a quarter of an hour; if it stays above 0, see the log.",
                Sort.GAUGE,
                # What was seen long ago another service has looked at since.
                {(): sum(now - each.seen < FORGOTTEN.total_seconds() for each in ghosts)},
            ),
            Measure(
                "chaser_registrations_swept_total",
                "Registrations that had been left behind, and that this process has deleted.",
                Sort.COUNTER,
                {(): self._swept},
            ),
        )

    async def look(self, registrar: Registrar, owner: Owner) -> Mapping[str, Registration]:
        """What GitHub has of ours there, by name, after what was left behind is gone. Raises as `Registrar` does.

        The list is read before the rows: a row is there before its registration is, so one that is listed and that no
        living row explains is nobody's.
        """
        listed = await registrar.list(owner, self._prefix)
        named = {each.name: attempt_of(self._prefix, each.name) for each in listed}
        standings = await self._wards.standings([found[0] for found in named.values() if found])
        for each in listed:
            found = named[each.name]
            if found is not None and stray(found[1], standings.get(found[0]), self._clock.now()):
                self._note(each.name, owner)
                if await self._gone(registrar, owner, each):
                    del self._strays[each.name]
                    await self._wards.removed(*found, self._clock.now())
        return {each.name: each for each in listed}

    @property
    def haunted(self) -> Sequence[Owner]:
        """Those beside whose runners some were left behind."""
        return [each.owner for each in self._strays.values()]

    def _note(self, name: str, owner: Owner) -> None:
        now = self._clock.monotonic()
        kept = {each: at for each, at in self._strays.items() if now - at.seen < FORGOTTEN.total_seconds()}
        kept[name] = _Stray(kept[name].since if name in kept else now, now, owner)
        self._strays = kept

    async def _gone(self, registrar: Registrar, owner: Owner, stray: Registration) -> bool:
        if stray.busy:
            return False  # as GitHub believes until it misses the runner; the next look asks again
        removal = await registrar.remove(owner, stray.runner_id)
        if removal is Removal.BUSY:
            return False
        log.info("Deleted a runner that was left behind.", action="swept", runner=stray.name)
        self._swept += removal is Removal.REMOVED
        return True


def stray(attempt: int, standing: Standing | None, now: datetime) -> bool:
    """Whether nothing lives here that a registration for this attempt could be for. `standing`: none: there is no such job.
    Pure."""
    match standing:
        case Standing(attempt=latest, live=True) if attempt == latest:
            return False
        case Standing(attempt=latest, finished_at=datetime() as ended) if attempt == latest:
            return now - ended >= GRACE
        case _:
            return True
