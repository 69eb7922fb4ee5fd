"""Where everything comes in that GitHub tells, or that is read from it: decided, stored in one transaction, passed on."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chaser.clock import Clock
from chaser.ids import JobId, new_id, new_job_id
from chaser.measures import Measure, Sort
from chaser.runners.decide import Ours, Ruling, decide
from chaser.runners.demand import Demand
from chaser.runners.event import Event
from chaser.runners.inbox import Decision, Delivery, Inbox, JobGone, Learned, News, Recorded, Repeated

_GONE = "GitHub does not show this job any more."


@dataclass(frozen=True, slots=True)
class Taken:
    delivery: Delivery
    stored: Recorded | Repeated


class Reception:
    def __init__(
        self,
        ours: Ours,
        inbox: Inbox,
        clock: Clock,
        *,
        awaken: Callable[[], None],
        cancelled: Callable[[JobId], None],
        screen: Callable[[], None],
    ) -> None:
        """All are called when it is on disk: `awaken` after a runner was newly owed, `cancelled` for each job that GitHub
        no longer wants, `screen` if the run of a job has to be looked at."""
        self._ours = ours
        self._inbox = inbox
        self._clock = clock
        self._awaken = awaken
        self._cancelled = cancelled
        self._screen = screen
        # each from the first, so that a rate can be told when one comes
        self._learned = Counter[Learned](dict.fromkeys(Learned, 0))

    async def take(
        self,
        guid: str,
        event: Event,
        learned: Learned = Learned.WEBHOOK,
        *,
        arrived: datetime | None = None,
    ) -> Taken:
        """What a delivery tells; `arrived` of none: now. Raises `Unavailable` if it could not be stored."""
        ruling = self._ruling(guid, event, arrived or self._clock.now())
        return await self._record(replace(ruling.delivery, learned=learned), ruling.news)

    async def see(self, event: Event, learned: Learned) -> Taken:
        """What a look at GitHub has shown, as an event would tell it."""
        return await self.take(self._own_guid(), event, learned)

    async def miss(self, demand: Demand, learned: Learned) -> Taken:
        """That GitHub shows a workflow job no more."""
        said = demand.said
        delivery = Delivery(
            guid=self._own_guid(),
            event="workflow_job",
            action=None,
            received_at=self._clock.now(),
            installation_id=said.installation_id,
            repository=said.repository,
            workflow_job_id=demand.id,
            decision=Decision.ACCEPTED,
            message=_GONE,
            learned=learned,
        )
        return await self._record(delivery, JobGone(demand.id))

    async def spoil(self, guid: str, event: str, message: str, learned: Learned) -> Taken:
        """A delivery that was read and is not what GitHub documents: noted, so that it is not read again."""
        delivery = Delivery(
            guid, event, None, self._clock.now(), None, None, None, Decision.NOT_OURS, message, learned
        )
        return await self._record(delivery, None)

    def ruling(self, event: Event) -> Ruling:
        """What would be made of it, without any effect."""
        return self._ruling("", event, self._clock.now())

    def measures(self) -> Sequence[Measure]:
        return (
            Measure(
                "chaser_github_jobs_learned_total",
                "Workflow jobs that this process was the first to hear of, by how. More than a few by other ways than "
                "webhook: GitHub's deliveries do not arrive; see the App's recent deliveries.",
                Sort.COUNTER,
                {(("how", how.value),): count for how, count in self._learned.items()},
            ),
        )

    def _ruling(self, guid: str, event: Event, at: datetime) -> Ruling:
        return decide(guid, event, self._ours, new_job_id(at), at)

    def _own_guid(self) -> str:
        return new_id("look", self._clock.now())

    async def _record(self, delivery: Delivery, news: News) -> Taken:
        stored = await self._inbox.record(delivery, news)
        match stored:
            case Recorded(planned=planned, cancelled=cancelled, screened=screened, learned=learned):
                for job_id in cancelled:
                    self._cancelled(job_id)
                if planned:
                    self._awaken()
                if screened:
                    self._screen()
                if learned is not None:
                    self._learned[learned] += 1
            case Repeated():
                pass
        return Taken(delivery, stored)
