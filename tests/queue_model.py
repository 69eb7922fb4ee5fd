"""What the queue promises, as simply as it can be said: lists in memory, searched from end to end at every question.

It shares no thought with the store: nothing is materialised, nothing is fenced by a condition; who is next, and whose
write counts, is worked out anew each time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chaser.ids import JobId, WorkerId
from chaser.jobs.job import ENDED, LIVE, NewJob, Status
from chaser.jobs.ports import LEASE, Claim, Full
from chaser.sandboxes.spec import WorkspaceMode


@dataclass
class ModelJob:
    new: NewJob
    run_at: datetime
    queued_at: datetime
    queue_until: datetime | None
    asleep: bool
    round: tuple[datetime, int]
    """The moment from which rounds are counted, and how many there were since."""
    status: Status = Status.QUEUED
    attempt: int = 0
    retries: int = 0
    worker: WorkerId | None = None
    cancelled: bool = False
    """Its end was asked for while it was live."""
    frames: int = 0
    history: list[Status] = field(default_factory=lambda: [Status.QUEUED])

    @property
    def id(self) -> JobId:
        return self.new.id

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def most_attempts(self) -> int:
        return self.new.max_attempts + self.retries


@dataclass(frozen=True)
class Seen:
    """A job's row, as far as the model tells it."""

    status: Status
    attempt: int
    retries: int
    worker: WorkerId | None
    ready: bool
    cancelled: bool
    run_at: datetime
    frames: int
    history: tuple[Status, ...]


class QueueModel:
    def __init__(self) -> None:
        self.jobs: dict[JobId, ModelJob] = {}
        self.leases: dict[WorkerId, datetime] = {}
        self._lines: dict[str, list[tuple[JobId, bool]]] = {}
        """Who stands in each line, first to last, and whether with a shared turn."""

    # Questions.

    def seen(self) -> dict[JobId, Seen]:
        return {
            job.id: Seen(
                job.status,
                job.attempt,
                job.retries,
                job.worker,
                self.ready(job),
                job.cancelled,
                job.run_at,
                job.frames,
                tuple(job.history),
            )
            for job in self.jobs.values()
        }

    def ready(self, job: ModelJob) -> bool:
        return job.status is Status.QUEUED and not job.asleep and not self.behind(job)

    def behind(self, job: ModelJob) -> list[str]:
        """The lines in which the job's turn has not come."""
        return [key for key, shared in _lines(job.new) if not self._turn_has_come(job, key, shared=shared)]

    def _turn_has_come(self, job: ModelJob, key: str, *, shared: bool) -> bool:
        line = self._lines.get(key, [])
        if (job.id, shared) not in line:
            return True
        before = line[: line.index((job.id, shared))]
        return all(other_shared for _, other_shared in before) if shared else not before

    def next(self, now: datetime, full: Full) -> ModelJob | None:
        able = [
            job
            for job in self.jobs.values()
            if self.ready(job)
            and (job.queue_until is None or job.queue_until > now)
            and job.new.key_id not in full.keys
            and job.new.profile not in full.profiles
            and job.new.lane not in full.lanes
            and job.new.tenant not in full.tenants
        ]
        return min(able, key=_order, default=None)

    def ahead(self, job: ModelJob) -> list[ModelJob]:
        """Those that wait for a slot before it."""
        return [other for other in self.jobs.values() if self.ready(other) and _order(other) < _order(job)]

    def held(self, claim: Claim) -> ModelJob | None:
        """The job, if a write of this claim still counts."""
        job = self.jobs[claim.job.id]
        return job if job.live and (job.attempt, job.worker) == (claim.attempt, claim.worker) else None

    def left_behind(self, now: datetime) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.live and job.worker and self.silent(job.worker, now)]

    def silent(self, worker: WorkerId, now: datetime) -> bool:
        return self.leases[worker] <= now

    def by_idempotency_key(self, key: str | None) -> ModelJob | None:
        return next(
            (job for job in self.jobs.values() if key is not None and job.new.idempotency_key == key), None
        )

    # What happens.

    def add(self, *new: NewJob) -> list[ModelJob]:
        """All at once. Those that stand in lines come to the queue only then, in the order in which they were given."""
        for each in sorted(new, key=lambda each: each.idempotency_key or ""):
            asleep = each.run_at is not None and each.run_at > each.created_at
            # until all are written
            queues = bool(_lines(each)) or asleep
            its_round = self._new_round(each)
            self.jobs[each.id] = ModelJob(
                each, each.run_at or each.created_at, each.created_at, each.queue_until, queues, its_round
            )
        made = [self.jobs[each.id] for each in new]
        for job in made:
            if _lines(job.new) and not (job.new.run_at and job.new.run_at > job.new.created_at):
                self._stand(job)
        self._wake([job for job in made if _lines(job.new) and self._stands(job)])
        return made

    def claim(self, job: ModelJob, worker: WorkerId) -> None:
        job.attempt += 1
        job.worker = worker
        self._move(job, Status.STARTING)

    def begin(self, job: ModelJob) -> None:
        if job.status is Status.STARTING:
            self._move(job, Status.RUNNING)

    def end(self, job: ModelJob, status: Status) -> None:
        job.asleep = False
        self._move(job, status)
        for key, shared in _lines(job.new):
            line = self._lines.get(key, [])
            if (job.id, shared) in line:
                line.remove((job.id, shared))

    def requeue(self, job: ModelJob, pause: timedelta, now: datetime, *, retried: bool) -> None:
        if job.cancelled:
            return self.end(job, Status.CANCELLED)
        if job.queue_until is not None:
            job.queue_until += now + pause - job.run_at
        job.run_at, job.queued_at = now + pause, now
        job.round = self._round_anew(job)
        job.asleep = pause > timedelta()
        job.retries += retried
        job.worker = None
        return self._move(job, Status.QUEUED)

    def cancel(self, job: ModelJob) -> None:
        if job.status is Status.QUEUED:
            self.end(job, Status.CANCELLED)
        elif job.live:
            job.cancelled = True

    def promote(self, now: datetime) -> int:
        """How many are ready then that were not."""
        asleep = [job for job in self.jobs.values() if job.status is Status.QUEUED and job.asleep]
        due = [job for job in asleep if job.run_at <= now or (job.attempt and job.queued_at > now)]
        in_time = [job for job in due if job.run_at <= now]
        others = sorted((job for job in due if job not in in_time), key=lambda job: (job.queued_at, job.id))
        ordered = [*sorted(in_time, key=lambda job: (job.run_at, job.new.created_at, job.id)), *others]
        for job in ordered:
            if not job.attempt:
                self._stand(job)
        self._wake(ordered)
        return sum(self.ready(job) for job in due)

    def expire(self, now: datetime) -> list[JobId]:
        late = [
            job
            for job in self.jobs.values()
            if job.status is Status.QUEUED and job.queue_until is not None and job.queue_until <= now
        ]
        for job in late:
            self.end(job, Status.FAILED)
        return sorted(job.id for job in late)

    def join(self, worker: WorkerId, same_seat: Iterable[WorkerId], now: datetime) -> None:
        for other in same_seat:
            self.leases[other] = min(self.leases[other], now)
        self.beat(worker, now)

    def beat(self, worker: WorkerId, now: datetime) -> None:
        self.leases[worker] = now + LEASE

    def _wake(self, jobs: Iterable[ModelJob]) -> None:
        for job in jobs:
            job.round = self._round_anew(job)
            job.asleep = False

    def _waiting_in_lanes(self, priority: int) -> list[ModelJob]:
        return [
            job
            for job in self.jobs.values()
            if job.new.lane is not None and job.new.priority == priority and self.ready(job)
        ]

    def _new_round(self, new: NewJob) -> tuple[datetime, int]:
        waiting = self._waiting_in_lanes(new.priority)
        before = [job.round for job in waiting if job.new.lane == new.lane]
        if before:
            base, count = max(before)
            return base, count + 1
        return min((job.round for job in waiting), default=(new.created_at, 0))

    def _round_anew(self, job: ModelJob) -> tuple[datetime, int]:
        if job.new.lane is None:
            return job.round
        return min((other.round for other in self._waiting_in_lanes(job.new.priority)), default=job.round)

    def _stands(self, job: ModelJob) -> bool:
        return any((job.id, shared) in self._lines.get(key, []) for key, shared in _lines(job.new))

    def _stand(self, job: ModelJob) -> None:
        for key, shared in _lines(job.new):
            self._lines.setdefault(key, []).append((job.id, shared))

    def _move(self, job: ModelJob, status: Status) -> None:
        job.status = status
        job.history.append(status)

    # What may never be.

    def check(self) -> None:
        live = [job for job in self.jobs.values() if job.live]
        keys = [job.new.concurrency_key for job in live if job.new.concurrency_key is not None]
        assert len(keys) == len(set(keys)), "Two live jobs have one key."
        for job in live:
            use = job.new.workspace
            if use is not None and use.mode is WorkspaceMode.EXCLUSIVE:
                beside = [other for other in live if other.new.workspace and other.new.workspace.id == use.id]
                assert beside == [job], "A workspace is not its exclusive user's alone."
        for job in self.jobs.values():
            assert job.attempt <= job.most_attempts
            assert sum(status in ENDED for status in job.history) <= 1


def _order(job: ModelJob) -> tuple[object, ...]:
    base, count = job.round
    return (-job.new.priority, base + count * timedelta(microseconds=1), job.id)


def _lines(new: NewJob) -> Sequence[tuple[str, bool]]:
    by_key = [] if new.concurrency_key is None else [(f"key {new.concurrency_key}", False)]
    if new.workspace is None:
        return by_key
    return [*by_key, (f"workspace {new.workspace.id}", new.workspace.mode is WorkspaceMode.COPY)]
