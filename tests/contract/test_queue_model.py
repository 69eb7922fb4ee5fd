"""The store against the model of the queue: whatever is done in whatever order, each says the same of every job."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, delete, event, func, select

from chaser.clock import ManualClock
from chaser.ids import JobId, KeyId, WorkerId, WorkspaceId
from chaser.jobs.job import ENDED, Job, NewJob, Retry, Status, Verdict
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import FREE, Claim, Conflict, Created, Fence, Full, Progress, Replayed
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from chaser.store.tables import jobs, log_frames, transitions, workers
from tests.queue_model import QueueModel, Seen
from tests.rows import ENGINE, new_job

T = TypeVar("T")
SEATS = ("seat-a", "seat-b")
RETRY = Retry(frozenset({Reason.NONZERO_EXIT}), 2, timedelta(seconds=1), timedelta(seconds=8))
SPANS = st.sampled_from([timedelta(seconds=seconds) for seconds in (1, 4, 12, 31, 3600, -12, -3600)])
PAUSES = st.sampled_from([timedelta(), timedelta(seconds=2), timedelta(minutes=10)])
FAULTS = st.one_of(st.none(), st.none(), st.none(), st.integers(1, 5))
"""At which statement of a transaction its connection breaks; mostly none."""


class Broken(Exception):
    """What a driver would raise."""


JOBS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "priority": st.sampled_from([0, 0, 1, -1]),
        "max_attempts": st.sampled_from([1, 3, 3]),
        "key_id": st.sampled_from([None, KeyId("key_a")]),
        "profile": st.sampled_from([None, "large"]),
        "shares": st.sampled_from([None, None, ("a", "x"), ("a", "y"), ("b", "z")]),
        "concurrency_key": st.sampled_from([None, None, "deploy", "test"]),
        "workspace": st.one_of(
            st.none(),
            st.builds(
                WorkspaceUse,
                st.sampled_from([WorkspaceId("wsp_1"), WorkspaceId("wsp_2")]),
                st.sampled_from(WorkspaceMode),
            ),
        ),
        "retry": st.sampled_from([None, RETRY, RETRY]),
        "delay": st.sampled_from([None, None, timedelta(), timedelta(seconds=3)]),
        "patience": st.sampled_from([None, timedelta(seconds=10), timedelta(hours=2)]),
        "idempotency": st.sampled_from([None, None, ("once", "a"), ("once", "b"), ("twice", "a")]),
    }
)


class Machine(RuleBasedStateMachine):
    """One worker sits on each seat; one that dies is followed by the next, and may come back to write late."""

    def __init__(self, store: Store, clock: ManualClock, run: asyncio.Runner) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._run = run
        self._model = QueueModel()
        self._claims: list[Claim] = []
        """All that were ever given out."""
        self._seated: dict[str, list[WorkerId]] = {seat: [] for seat in SEATS}
        """Who has sat there, the present one last."""
        self._made = 0

    # How the store is asked.

    def _do(self, work: Callable[[], Coroutine[Any, Any, T]], fault: int | None = None) -> T:
        """Raises `Broken` if the connection broke on the way."""
        try:
            with _breaking(self._store, fault):
                return self._run.run(work())
        except Broken:
            assert fault is not None, "What broke before has broken this too."
            raise

    def _new(self, spec: dict[str, Any]) -> NewJob:
        self._made += 1
        now = self._clock.now()
        key, fingerprint = spec["idempotency"] or (None, None)
        fields = {
            name: value
            for name, value in spec.items()
            if name not in {"delay", "patience", "idempotency", "shares"}
        }
        tenant, lane = spec["shares"] or (None, None)
        return replace(
            new_job(now, **fields, lane=lane, tenant=tenant),
            id=JobId(f"job_{self._made:06d}"),
            run_at=None if spec["delay"] is None else now + spec["delay"],
            queue_until=None if spec["patience"] is None else now + spec["patience"],
            idempotency_key=key,
            fingerprint=fingerprint,
        )

    def _some_claim(self, data: st.DataObject) -> Claim:
        """Of those that were ever given out: one that holds, or one that is lost."""
        held = [claim for claim in self._claims if self._model.held(claim) is not None]
        lost = [claim for claim in self._claims if self._model.held(claim) is None]
        pools = [pool for pool in (held, lost[-6:]) if pool]
        return data.draw(st.sampled_from(data.draw(st.sampled_from(pools))))

    # What may happen.

    @initialize()
    def sit_down(self) -> None:
        self._do(lambda: self._store.database.write(_clear))
        for seat in SEATS:
            self._follow(seat)

    @rule(spec=JOBS, fault=FAULTS)
    def enqueue(self, spec: dict[str, Any], fault: int | None) -> None:
        new = self._new(spec)
        earlier = self._model.by_idempotency_key(new.idempotency_key)
        try:
            answer = self._do(lambda: self._store.jobs.enqueue(new), fault)
        except Broken:
            return
        match answer:
            case Created(job):
                assert earlier is None
                (added,) = self._model.add(new)
                assert job.ready == self._model.ready(added)
            case Replayed(job):
                assert earlier is not None
                assert (job.id, new.fingerprint) == (earlier.id, earlier.new.fingerprint)
            case Conflict(job):
                assert earlier is not None
                assert job.id == earlier.id
                assert new.fingerprint != earlier.new.fingerprint

    @rule(specs=st.lists(JOBS, min_size=2, max_size=4), fault=FAULTS)
    def enqueue_all(self, specs: list[dict[str, Any]], fault: int | None) -> None:
        new = [self._new(spec) for spec in specs]
        try:
            answers = self._do(lambda: self._store.jobs.enqueue_all(new), fault)
        except Broken:
            return
        if any(isinstance(answer, Conflict) for answer in answers):
            assert len(answers) == 1
            return
        pairs = list(zip(new, answers, strict=True))
        self._model.add(*(each for each, answer in pairs if isinstance(answer, Created)))
        for each, answer in pairs:
            if not isinstance(answer, Created):
                earlier = self._model.by_idempotency_key(each.idempotency_key)
                assert earlier is not None
                assert answer.job.id == earlier.id

    @rule(
        seat=st.sampled_from(SEATS),
        full=st.sampled_from(
            [
                FREE,
                Full(frozenset({KeyId("key_a")}), frozenset({"large"})),
                Full(lanes=frozenset({"x"})),
                Full(tenants=frozenset({"a"})),
            ]
        ),
        most=st.sampled_from([1, 4]),
        fault=FAULTS,
    )
    def claim(self, seat: str, full: Full, most: int, fault: int | None) -> None:
        worker, now = self._seated[seat][-1], self._clock.now()
        try:
            claims = self._do(lambda: self._store.jobs.claim(worker, now, full, most), fault)
        except Broken:
            return
        expected: list[tuple[JobId, int]] = []
        for _ in range(most if full == FREE else 1):
            if (job := self._model.next(now, full)) is not None:
                self._model.claim(job, worker)
                expected.append((job.id, job.attempt))
        assert [(claim.job.id, claim.attempt) for claim in claims] == expected
        self._claims.extend(claims)

    @precondition(lambda self: self._model.jobs)
    @rule(data=st.data())
    def ask_for_the_position(self, data: st.DataObject) -> None:
        job = self._model.jobs[data.draw(st.sampled_from(sorted(self._model.jobs)))]
        position = self._do(lambda: self._store.jobs.position(job.id))
        assert position == (len(self._model.ahead(job)) if self._model.ready(job) else None)

    @precondition(lambda self: self._claims)
    @rule(data=st.data(), fault=FAULTS)
    def begin(self, data: st.DataObject, fault: int | None) -> None:
        claim = self._some_claim(data)
        job = self._model.held(claim)
        try:
            fence = self._do(lambda: self._store.jobs.begin(claim, self._clock.now()), fault)
        except Broken:
            return
        assert (fence is Fence.HELD) == (job is not None)
        if job is not None:
            self._model.begin(job)

    @precondition(lambda self: self._claims)
    @rule(data=st.data(), fault=FAULTS)
    def append(self, data: st.DataObject, fault: int | None) -> None:
        claim = self._some_claim(data)
        job = self._model.held(claim)
        frame = Frame(self._model.jobs[claim.job.id].frames + 1, Stream.OUTPUT, self._clock.now(), b"x")
        try:
            fence = self._do(lambda: self._store.logs.append(claim, [frame], Progress(seq=frame.seq)), fault)
        except Broken:
            return
        assert (fence is Fence.HELD) == (job is not None)
        if job is not None:
            job.frames += 1

    @precondition(lambda self: self._claims)
    @rule(data=st.data(), good=st.booleans(), fault=FAULTS)
    def finish(self, data: st.DataObject, good: bool, fault: int | None) -> None:
        claim = self._some_claim(data)
        job = self._model.held(claim)
        verdict = _SUCCESS if good else _FAILURE
        try:
            fence = self._do(lambda: self._store.jobs.finish(claim, verdict, self._clock.now()), fault)
        except Broken:
            return
        assert (fence is Fence.HELD) == (job is not None)
        if job is not None:
            self._model.end(job, verdict.status)

    @precondition(lambda self: self._claims)
    @rule(data=st.data(), pause=PAUSES, retried=st.booleans(), fault=FAULTS)
    def requeue(self, data: st.DataObject, pause: timedelta, retried: bool, fault: int | None) -> None:
        claim = self._some_claim(data)
        job = self._model.held(claim)
        if job is not None and not self._may_run_again(job.id, retried=retried):
            return
        now = self._clock.now()
        again = (claim, Reason.NONZERO_EXIT, "Once more.", now + pause, now)
        try:
            fence = self._do(lambda: self._store.jobs.requeue(*again, retried=retried), fault)
        except Broken:
            return
        held = job is not None and (retried or job.status is Status.STARTING)
        assert (fence is Fence.HELD) == held
        if job is not None and held:
            self._model.requeue(job, pause, now, retried=retried)

    def _may_run_again(self, job_id: JobId, *, retried: bool) -> bool:
        """What a caller checks: it has the row that it claimed."""
        job = self._model.jobs[job_id]
        if retried and (job.new.retry is None or job.retries >= job.new.retry.most):
            return False
        return job.attempt < job.most_attempts + retried

    @precondition(lambda self: self._model.jobs)
    @rule(data=st.data(), fault=FAULTS)
    def cancel(self, data: st.DataObject, fault: int | None) -> None:
        job = self._model.jobs[data.draw(st.sampled_from(sorted(self._model.jobs)))]
        ask = (job.id, Reason.CANCELLED_BY_USER, self._clock.now())
        try:
            after = self._do(lambda: self._store.jobs.request_cancel(*ask), fault)
        except Broken:
            return
        self._model.cancel(job)
        assert after is not None
        assert after.status is job.status

    @rule(span=SPANS, looks=st.booleans(), fault=FAULTS)
    def time_passes(self, span: timedelta, looks: bool, fault: int | None) -> None:
        """Forwards mostly; the clock may be set back."""
        self._clock.advance(span)
        if looks:
            self._turn_of_time(fault)

    def _turn_of_time(self, fault: int | None) -> None:
        now = self._clock.now()
        try:
            late = self._do(lambda: self._store.jobs.expire(now), fault)
        except Broken:
            return
        assert sorted(late) == self._model.expire(now)
        assert self._do(lambda: self._store.jobs.promote(now)) == self._model.promote(now)

    @rule(seat=st.sampled_from(SEATS))
    def heartbeat(self, seat: str) -> None:
        worker, now = self._seated[seat][-1], self._clock.now()
        beat = self._do(lambda: self._store.jobs.heartbeat(worker, now))
        self._model.beat(worker, now)
        own = [job for job in self._model.jobs.values() if job.live and job.worker == worker]
        assert beat.holds == {job.id for job in own}
        assert beat.cancels.keys() == {job.id for job in own if job.cancelled}

    @rule(seat=st.sampled_from(SEATS), another=st.sampled_from(SEATS))
    def worker_dies(self, seat: str, another: str) -> None:
        """The next to take its seat knows that it is dead, and either of the two looks for what it has left behind."""
        self._follow(seat)
        self._reap(another)

    @rule(seat=st.sampled_from(SEATS))
    def reap(self, seat: str) -> None:
        self._reap(seat)

    def _reap(self, seat: str) -> None:
        worker, now = self._seated[seat][-1], self._clock.now()
        left = self._do(lambda: self._store.jobs.left_behind(ENGINE, now))
        assert {job.id for job in left} == {job.id for job in self._model.left_behind(now)}
        for job in left:
            self._take_over(job, worker)

    def _take_over(self, job: Job, worker: WorkerId) -> None:
        claim = self._do(lambda: self._store.jobs.take_over(job, worker))
        assert (claim is None) == (job.worker == worker)
        if claim is not None:
            self._model.jobs[job.id].worker = worker
            self._claims.append(claim)

    def _follow(self, seat: str) -> None:
        worker, now = WorkerId(f"run_{seat}_{len(self._seated[seat])}"), self._clock.now()
        self._do(lambda: self._store.jobs.join(worker, seat, now))
        self._model.join(worker, self._seated[seat], now)
        self._seated[seat].append(worker)

    # What must hold.

    @invariant()
    def all_is_as_the_model_has_it(self) -> None:
        self._model.check()
        assert self._do(lambda: self._store.database.read(_seen)) == self._model.seen()

    def teardown(self) -> None:
        """Every job that was accepted can be brought to an end, and has ended once."""
        if not self._seated[SEATS[0]]:
            return
        for _ in range(50 * (1 + len(self._model.jobs))):
            if all(job.status in ENDED for job in self._model.jobs.values()):
                break
            self._clock.advance(timedelta(minutes=2))
            self._turn_of_time(None)
            self._reap(SEATS[0])
            for claim in self._claims:
                self._end(claim)
            self.claim(SEATS[0], FREE, 1, None)
        self.all_is_as_the_model_has_it()
        for job in self._model.jobs.values():
            assert [status for status in job.history if status in ENDED] == [job.status]

    def _end(self, claim: Claim) -> None:
        job = self._model.held(claim)
        if job is not None:
            assert self._do(lambda: self._store.jobs.finish(claim, _SUCCESS, self._clock.now())) is Fence.HELD
            self._model.end(job, Status.SUCCEEDED)


_SETTINGS = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
_SUCCESS = Verdict(Status.SUCCEEDED, None, None, {})
_FAILURE = Verdict(Status.FAILED, Reason.NONZERO_EXIT, "It ended with exit status 1.", {})


@contextmanager
def _breaking(store: Store, fault: int | None) -> Generator[None]:
    """Until the end, the connection breaks at statement number `fault` of those that write."""
    if fault is None:
        yield
        return
    left = fault

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Broken

    engine = store.database.engines.writing
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)


def _clear(connection: Connection) -> None:
    connection.execute(delete(jobs))
    connection.execute(delete(workers))


def _seen(connection: Connection) -> dict[JobId, Seen]:
    counted = connection.execute(select(log_frames.c.job_id, func.count()).group_by(log_frames.c.job_id))
    frames = dict(list(counted))
    history: dict[str, list[Status]] = {}
    for line in connection.execute(select(transitions).order_by(transitions.c.job_id, transitions.c.seq)):
        steps = history.setdefault(line.job_id, [])
        assert (line.seq, line.from_status) == (len(steps) + 1, steps[-1] if steps else None)
        steps.append(Status(line.to_status))
    return {
        row.id: Seen(
            Status(row.status),
            row.attempt,
            row.retries,
            row.worker,
            row.ready,
            row.cancel_requested is not None,
            row.run_at,
            frames.get(row.id, 0),
            tuple(history[row.id]),
        )
        for row in connection.execute(select(jobs))
    }


def test_the_store_does_as_the_model_says(store_url: str, sealing_key: SealingKey) -> None:
    """A failure prints its steps, and the line that repeats them."""
    store = open_store(store_url, [sealing_key], ManualClock(), given_time=True)
    with asyncio.Runner() as run:

        class OnThis(Machine):
            def __init__(self) -> None:
                super().__init__(store, ManualClock(), run)

        try:
            run_state_machine_as_test(OnThis, settings=_SETTINGS)
        finally:
            run.run(store.close())
