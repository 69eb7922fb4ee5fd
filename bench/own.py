"""Chaser's queue in this process: the real store, dispatcher and driver, and a kind of job that does nothing."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import BaseModel

from bench.drain import SLOTS, Tally, jobs_per_second
from chaser.clock import SystemClock
from chaser.ids import JobId, KeyId, WorkerId, new_id, new_job_id
from chaser.jobs.caps import Caps
from chaser.jobs.completion import Completion
from chaser.jobs.dispatcher import Dispatcher
from chaser.jobs.driver import Driver
from chaser.jobs.hearing import Hearing
from chaser.jobs.intake import Intake
from chaser.jobs.job import NO_SECRETS, Job, NewJob, Status, Verdict
from chaser.jobs.kind import Admitted, Bounds, ServiceKind
from chaser.jobs.lease import Lease
from chaser.jobs.partings import Partings
from chaser.jobs.ports import JobStore
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store

CLOCK = SystemClock()
KEY = SealingKey(bytes(range(32)))


class Nothing(BaseModel):
    pass


class Noop(ServiceKind[Nothing]):
    name = "bench.nothing"
    description = "Does nothing."
    input = Nothing
    open = False

    def __init__(self, performed: Callable[[JobId], None]) -> None:
        self._performed = performed

    def admit(self, asked: Nothing, bounds: Bounds) -> Admitted:
        return Admitted(input={})

    async def perform(self, job: Job) -> Verdict:
        self._performed(job.id)
        return Verdict(Status.SUCCEEDED, None, None, {})


def nothing() -> NewJob:
    now = CLOCK.now()
    return NewJob(new_job_id(now), Noop.name, {}, NO_SECRETS, now, None)


@dataclass(frozen=True, slots=True)
class Queue:
    store: Store
    intake: Intake

    async def unfinished(self) -> int:
        return sum((await self.store.jobs.counts()).values())


@asynccontextmanager
async def working(
    url: str,
    performed: Callable[[JobId], None],
    through: Callable[[JobStore], JobStore] = lambda store: store,
) -> AsyncGenerator[Queue]:
    """A queue at work on the database at `url`; `through` may stand between dispatcher and store, to look on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    store = await asyncio.to_thread(open_store, url, [KEY], CLOCK)
    completion, worker = Completion(), WorkerId(new_id("wrk", CLOCK.now()))
    no_sandbox: Any = None
    """What makes and removes sandboxes: this kind of job needs none."""
    kinds = {Noop.name: Noop(performed)}
    driver = Driver(kinds, store.jobs, no_sandbox, no_sandbox, completion, CLOCK)
    dispatcher = Dispatcher(
        through(store.jobs),
        driver,
        Partings(kinds, store.jobs, completion),
        completion,
        CLOCK,
        worker,
        max_running=SLOTS,
        caps=Caps(),
        cap_of=_no_cap,
        held=lambda: None,
    )
    stop = dispatcher.stop_running
    lease = Lease(store.jobs, CLOCK, worker, "bench", stop_running=stop, held=lambda jobs: None)
    intake = Intake(
        store.jobs, completion, CLOCK, wake=dispatcher.wake, expect=dispatcher.expect, stop_running=stop
    )
    try:
        await lease.take()
        loops = [
            asyncio.create_task(dispatcher.run()),
            asyncio.create_task(Hearing(store.notices, dispatcher, completion).listen()),
        ]
        yield Queue(store, intake)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await dispatcher.stop()
    finally:
        await store.close()


async def _no_cap(key: KeyId) -> int | None:
    return None


async def chaser(url: str, jobs: int) -> float:
    tally = Tally(jobs)
    async with working(url, lambda _: tally.count()) as queue:
        return await jobs_per_second(jobs, tally, lambda: queue.intake.submit(nothing()), queue.unfinished)
