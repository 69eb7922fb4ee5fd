"""What news from GitHub change, in the transaction that stores their delivery: demands, and the jobs that serve them.

Wanted are as many runners as there are workflow jobs that wait for one. So a demand whose runner was given another job gets
the one that was made for that job, if it fits; if there is none, one more is made.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select

from chaser.clock import Clock
from chaser.ids import JobId, new_job_id
from chaser.jobs.job import NO_SECRETS, NewJob, Status
from chaser.jobs.ports import Created
from chaser.jobs.reason import Reason
from chaser.runners.clearing import judged, looked_at_again, reconsidered
from chaser.runners.decide import KIND, REFUSAL
from chaser.runners.demand import (
    ENDED,
    MOST_RUNNERS,
    OPEN,
    Clearance,
    Demand,
    State,
    exhausted,
    first,
    fits,
    heard,
    origin,
    robbed,
    uninstalled,
    unserved,
    vanished,
)
from chaser.runners.event import InstallationEvent
from chaser.runners.inbox import JobGone, JobNews, Learned, Recorded
from chaser.runners.rules import Verdict
from chaser.store import demands, ends, installations
from chaser.store.enqueue import enqueue
from chaser.store.job_rows import AnyRow
from chaser.store.sealing import Sealer
from chaser.store.tables import approvals, jobs

_UNSERVED = frozenset({State.WAITING, State.SCREENING, State.HELD, State.REFUSED, State.CANCELLED})
"""The states in which a demand needs no runner, and has none."""

_JOB = select(jobs.c.status, jobs.c.cancel_requested, jobs.c.input).where(
    jobs.c.id == bindparam("of_id"), jobs.c.kind == KIND
)
_MADE = select(
    *(jobs.c.id, jobs.c.kind, jobs.c.input, jobs.c.profile, jobs.c.max_attempts, jobs.c.lane, jobs.c.tenant)
).where(jobs.c.origin == bindparam("of_origin"))
_APPROVED = select(approvals.c.run_id).where(approvals.c.run_id == bindparam("of_run"))


@dataclass(slots=True)
class Bookings:
    """Those of one transaction. `at` is when the news came, and `now` what `Database.moment` makes of that."""

    connection: Connection
    sealer: Sealer
    clock: Clock
    at: datetime
    now: datetime | None
    learned: Learned = Learned.WEBHOOK
    planned: bool = False
    new: bool = False
    """Nothing was known of the demand before."""
    cancelled: list[JobId] = field(default_factory=list[JobId])

    def job(self, news: JobNews) -> Recorded:
        # Before any demand is locked, as where an installation is deleted.
        installation = news.event.installation_id if news.new is not None else None
        gone = installation is not None and installations.deleted(self.connection, installation)
        if news.runner_of is not None:
            demands.lock_owner(self.connection, news.event.repository)
        known, other = self._known(news)
        demand = self._served(known, other, news)
        if gone and demand.owed and not self._has_runner(demand):
            demand = uninstalled(demand, self.at)
        else:
            demand = self._provided(demand, None if gone else news.new)
        demands.write(self.connection, demand)
        return self._recorded(demand)

    def judged(self, workflow_job_id: int, verdict: Verdict, new: NewJob | None) -> Recorded:
        """What is made of the run that a demand is of."""
        known = demands.locked(self.connection, frozenset({workflow_job_id})).get(workflow_job_id)
        if known is None:
            return Recorded(None)
        approved = self.connection.execute(_APPROVED, {"of_run": known.said.run_id}).first() is not None
        return self._settle(judged(known, verdict, self.at, approved=approved), new)

    def reconsidered(self, news: JobNews) -> Recorded:
        """Of a demand that was refused or held by other settings."""
        known = demands.locked(self.connection, frozenset({news.event.job_id})).get(news.event.job_id)
        if known is None:
            return Recorded(None)
        return self._settle(reconsidered(known, news, self.at), news.new)

    def approved(self, held: frozenset[int]) -> None:
        for demand in demands.locked(self.connection, held).values():
            demands.write(self.connection, looked_at_again(demand, self.at))

    def _settle(self, demand: Demand, new: NewJob | None) -> Recorded:
        demand = self._provided(demand, new)
        demands.write(self.connection, demand)
        return self._recorded(demand)

    def _provided(self, demand: Demand, new: NewJob | None) -> Demand:
        """With a runner, if it is to have one, has none, and this is of the right sort: one that runs it or one that refuses."""
        if demand.owed and self._refuses(demand.job_id):
            self._withdraw(demand.job_id)
            demand = replace(demand, job_id=None)
        if new is None or self._has_runner(demand):
            return demand
        wanted = demand.state is State.REFUSED if REFUSAL in new.input else demand.owed
        return self._plan(demand, new) if wanted else demand

    def _recorded(self, demand: Demand) -> Recorded:
        unseen = demand.clearance is Clearance.PENDING and demand.state not in ENDED
        learned = self.learned if self.new else None
        return Recorded(demand.job_id, self.planned, tuple(self.cancelled), screened=unseen, learned=learned)

    def gone(self, news: JobGone) -> Recorded:
        known = demands.locked(self.connection, {news.job_id}).get(news.job_id)
        if known is None:
            return Recorded(None)
        after = vanished(known, self.at)
        demands.write(self.connection, after)
        if known.state in OPEN:  # one that runs already may do so unseen
            self._withdraw(known.job_id)
        return Recorded(known.job_id, cancelled=tuple(self.cancelled))

    def renew(self, seen: Demand, setback: str, pause: timedelta) -> Recorded:
        """Its runner has ended without having served it: plan another one, to be made after the pause.

        Nothing, where more was said since the demand was seen so.
        """
        installation = seen.said.installation_id
        gone = installation is not None and installations.deleted(self.connection, installation)
        known = demands.locked(self.connection, {seen.id}).get(seen.id)
        if known is None or not known.owed or known.job_id != seen.job_id or self._lives(known.job_id):
            return Recorded(None if known is None else known.job_id)
        demand = unserved(known, setback, self.at)
        demand = uninstalled(demand, self.at) if gone else self._planned_again(demand, self.at + pause)
        demands.write(self.connection, demand)
        return Recorded(demand.job_id, self.planned)

    def installation(self, event: InstallationEvent) -> Recorded:
        told = installations.book(self.connection, event, self.at)
        if told.deleted_at is not None:
            waiting = demands.unsettled(self.connection, told.id)
            for demand in demands.locked(self.connection, frozenset(waiting)).values():
                demands.write(self.connection, uninstalled(demand, self.at))
                self._withdraw(demand.job_id)
        return Recorded(None, cancelled=tuple(self.cancelled))

    def _known(self, news: JobNews) -> tuple[Demand, Demand | None]:
        """The demand after the news, and the one for which the runner was made that they name, if that is another."""
        begun, mine = first(news, self.at, self.learned), news.event.job_id
        self.new = new = demands.begin(self.connection, begun, self.clock.now())
        other = None if news.runner_of is None else demands.of_job(self.connection, news.runner_of)
        rows = demands.locked(self.connection, {each for each in (None if new else mine, other) if each})
        if not new and mine not in rows:  # it was old, and has just been forgotten
            return self._known(news)
        demand = self._adopted(begun, news) if new else heard(rows[mine], news, self.at)
        owner = None if other is None or other == mine else rows.get(other)
        return demand, owner if owner is not None and owner.job_id == news.runner_of else None

    def _adopted(self, demand: Demand, news: JobNews) -> Demand:
        """With the job that was made for it before there was a row of its own; a new one is not made if there is that."""
        if news.new is not None:
            return demand
        made = self.connection.execute(_MADE, {"of_origin": origin(demand.id, 1)}).one_or_none()
        return demand if made is None else replace(demand, job_id=JobId(made.id), runners=1)

    def _served(self, demand: Demand, other: Demand | None, news: JobNews) -> Demand:
        if news.runner_of is not None and self._exists(news.runner_of):
            return demand if news.runner_of == demand.job_id else self._taken(demand, other, news.runner_of)
        elsewhere = news.event.runner_name is not None
        refused = demand.state is State.REFUSED and self._refuses(demand.job_id)
        if elsewhere or (demand.state in _UNSERVED and not refused):
            self._withdraw(demand.job_id)
        return demand

    def _taken(self, demand: Demand, other: Demand | None, job_id: JobId) -> Demand:
        """It was given the runner of `job_id`, which was made for the other."""
        spare = demand.job_id if self._waits(demand.job_id) else None
        if other is not None:
            other = robbed(other, demand, self.at)
            demands.write(self.connection, other)
        demand = replace(demand, job_id=job_id)
        demands.write(self.connection, demand)
        of_use = spare is not None and not self._refuses(spare)
        if other is not None and other.owed and of_use and fits(other, demand):
            demands.write(self.connection, replace(other, job_id=spare))
            return demand
        self._withdraw(spare)
        if other is not None and (other.owed or (other.state is State.REFUSED and self._refuses(job_id))):
            demands.write(self.connection, self._planned_again(other))
        return demand

    def _planned_again(self, demand: Demand, run_at: datetime | None = None) -> Demand:
        """As the last one that was made for it; at once, or at `run_at`."""
        made = self.connection.execute(_MADE, {"of_origin": origin(demand.id, demand.runners)}).one_or_none()
        if made is None:
            return demand
        new = NewJob(
            id=new_job_id(self.at),
            kind=made.kind,
            input=made.input,
            secrets=NO_SECRETS,
            created_at=self.at,
            queue_until=None,
            run_at=run_at,
            profile=made.profile,
            max_attempts=made.max_attempts,
            lane=made.lane,
            tenant=made.tenant,
        )
        return self._plan(demand, new)

    def _plan(self, demand: Demand, new: NewJob) -> Demand:
        for number in range(demand.runners + 1, MOST_RUNNERS + 1):
            numbered = replace(new, origin=origin(demand.id, number))
            made = enqueue(self.connection, self.sealer, numbered, self.now)
            if not made.job.status.ended:
                self.planned |= isinstance(made, Created)
                return replace(demand, job_id=made.job.id, runners=number, changed_at=self.at)
        return exhausted(demand, self.at)

    def _has_runner(self, demand: Demand) -> bool:
        """One that has ended well may have served the job: GitHub may be about to say so."""
        return self._waits(demand.job_id) or self._status(demand.job_id) is Status.SUCCEEDED

    def _refuses(self, job_id: JobId | None) -> bool:
        """Whether the job's runner is there to say that its workflow job is not run."""
        row = self._row(job_id)
        return row is not None and REFUSAL in row.input

    def _withdraw(self, job_id: JobId | None) -> None:
        if job_id is not None and self._waits(job_id):
            ends.request_cancel(self.connection, job_id, Reason.CANCELLED_BY_GITHUB, self.at)
            self.cancelled.append(job_id)

    def _exists(self, job_id: JobId) -> bool:
        return self._status(job_id) is not None

    def _waits(self, job_id: JobId | None) -> bool:
        """Whether it has not ended, and is not asked to."""
        row = self._row(job_id)
        return row is not None and not Status(row.status).ended and row.cancel_requested is None

    def _lives(self, job_id: JobId | None) -> bool:
        status = self._status(job_id)
        return status is not None and not status.ended

    def _status(self, job_id: JobId | None) -> Status | None:
        row = self._row(job_id)
        return None if row is None else Status(row.status)

    def _row(self, job_id: JobId | None) -> AnyRow | None:
        return None if job_id is None else self.connection.execute(_JOB, {"of_id": job_id}).one_or_none()
