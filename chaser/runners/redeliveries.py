"""Deliveries that GitHub could not make: it is asked for them once more, and reads them out itself if that fails, too.

Where nothing of ours can be reached from outside (`github.intake`), all of them are read out of the App's list of deliveries.
https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from chaser.clock import Clock
from chaser.errors import Refused
from chaser.measures import Measure, Sort
from chaser.runners.event import Event
from chaser.runners.inbox import IntakeMode, Learned
from chaser.runners.lookout import Attempt, DeliveryLog
from chaser.runners.ports import Looks
from chaser.runners.reception import Reception

WINDOW = timedelta(days=3)
"""How long GitHub keeps a delivery for another try."""
EVENTS = frozenset({"workflow_job", "installation", "installation_repositories"})
"""Those that something follows from."""

_OVERLAP = timedelta(minutes=5)
"""A delivery may enter the list later than one that was made after it."""
_IN_FLIGHT = timedelta(seconds=15)
"""GitHub waits ten for an answer; it may be on its way to the inbox."""
_PAGES = 100
"""Of 100 attempts each."""

_log = structlog.stdlib.get_logger("chaser.github")


@dataclass(frozen=True, slots=True)
class Unread:
    """What is in a payload that was read out."""

    event: Event | None
    """None: nothing that anything follows from."""
    fault: str | None = None
    """Why it is no event at all."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A delivery none of whose tries was accepted."""

    last: Attempt
    tries: int
    asked: bool = False


class Redeliveries:
    """`parse` makes of an event's name and its payload what is in it."""

    def __init__(
        self,
        looks: Looks,
        reception: Reception,
        clock: Clock,
        parse: Callable[[str, bytes], Unread],
        *,
        intake: IntakeMode = IntakeMode.WEBHOOK,
        most: int = 100,
    ) -> None:
        """`most`: deliveries that one look asks for or reads."""
        self._looks = looks
        self._reception = reception
        self._clock = clock
        self._parse = parse
        self._intake = intake
        self._most = most
        self._since: datetime | None = None
        """What is older in the list was looked at."""
        self._open: Mapping[str, Failing] = {}
        """Those that were not accepted when the list was looked at last."""
        self._asked = self._taken = 0

    def measures(self) -> Sequence[Measure]:
        return (
            Measure(
                "chaser_github_redeliveries_total",
                "Deliveries that GitHub was asked for once more (asked), and that were read out of the App's list (read). "
                "If asked grows all the time, GitHub does not reach this service: see `chaser github status`.",
                Sort.COUNTER,
                {(("how", "asked"),): self._asked, (("how", "read"),): self._taken},
            ),
        )

    async def look(self, log: DeliveryLog) -> bool:
        """One look at the list; returns whether all that was found is dealt with. Raises as `DeliveryLog` does."""
        found = await self._new(log)
        now = self._clock.now()
        self._open = grouped(
            self._open, found, now - WINDOW, all_of_them=self._intake is IntakeMode.DELIVERIES
        )
        unheard = await self._looks.unheard(self._open) if self._open else frozenset[str]()
        self._open = {guid: each for guid, each in self._open.items() if guid in unheard}
        # The newest first: what has ended meanwhile is not begun then, and what is new does not wait for what is old.
        due = sorted(
            (each for each in self._open.values() if self._due(each, now)),
            key=lambda each: each.last.at,
            reverse=True,
        )
        for each in due[: self._most]:
            await self._again(log, each, now)
        return len(due) <= self._most

    async def _new(self, log: DeliveryLog) -> Sequence[Attempt]:
        """What came into the list since the last look."""
        since = self._since or self._clock.now() - WINDOW
        found, after = list[Attempt](), None
        for _ in range(_PAGES):
            page = await log.page(after)
            if page.unchanged:
                return ()
            found += [each for each in page.attempts if each.at >= since]
            after = page.after
            if after is None or any(each.at < since for each in page.attempts):
                break
        else:
            _log.warning(
                "The App has more deliveries than are looked through; the rest is left to the polls.",
                action="deliveries_beyond",
            )
        if found:
            self._since = max(each.at for each in found) - _OVERLAP
        return [each for each in found if each.event in EVENTS]

    def _due(self, each: Failing, now: datetime) -> bool:
        if self._intake is IntakeMode.DELIVERIES:
            return True
        return not each.last.pending and now - each.last.at >= _IN_FLIGHT

    async def _again(self, log: DeliveryLog, each: Failing, now: datetime) -> None:
        if self._intake is IntakeMode.WEBHOOK and each.tries == 1 and not each.asked:
            await self._looks.asked_again(each.last.guid, now)
            try:
                await log.redeliver(each.last)
            except Refused as error:
                _log.warning("GitHub does not deliver it again.", action="redelivery", error=error.message)
            else:
                self._asked += 1
                self._open = {**self._open, each.last.guid: replace(each, asked=True)}
                return
        await self._read(log, each.last)

    async def _read(self, log: DeliveryLog, attempt: Attempt) -> None:
        learned = Learned.WEBHOOK if self._intake is IntakeMode.DELIVERIES else Learned.REDELIVERY
        body = await log.read(attempt)
        unread = Unread(None, "GitHub does not keep it any more.") if body is None else None
        unread = unread or self._parse(attempt.event, body or b"")
        if unread.event is None:
            fault = unread.fault or "Nothing follows from it."
            await self._reception.spoil(attempt.guid, attempt.event, fault, learned)
        else:
            await self._reception.take(attempt.guid, unread.event, learned)
            self._taken += 1


def grouped(
    known: Mapping[str, Failing], attempts: Iterable[Attempt], since: datetime, *, all_of_them: bool = False
) -> Mapping[str, Failing]:
    """Those that are known and those among the attempts that no try was accepted of. Pure.

    `all_of_them`: whether accepted or not. The same attempt may be shown again.
    """
    found = dict(known)
    accepted = set[str]()
    for each in sorted(attempts, key=lambda each: (each.at, each.id)):
        before = found.get(each.guid)
        if each.accepted:
            accepted.add(each.guid)
        if before is None:
            found[each.guid] = Failing(each, 1)
        elif each.id > before.last.id:
            found[each.guid] = Failing(each, before.tries + 1, before.asked)
        elif each.id == before.last.id:
            found[each.guid] = replace(before, last=each)
    return {
        guid: each
        for guid, each in found.items()
        if each.last.at >= since and (all_of_them or guid not in accepted)
    }
