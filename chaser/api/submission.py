"""Writing jobs on behalf of a client, or finding those that the same call has written before."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from chaser.api.auth import may_see
from chaser.api.call import Call
from chaser.api.context import Api
from chaser.errors import Rejected
from chaser.jobs.job import NewJob, Status
from chaser.jobs.ports import Conflict, Created, Replayed

Accepted = Created | Replayed


async def submit(call: Call, new: NewJob) -> Accepted:
    """Raises `Rejected`: the queue is full, or the idempotency key is another's."""
    async with _room(call.api, 1):
        submitted = await call.api.intake.submit(new)
    match submitted:
        case Created() as created:
            return created
        case Replayed(job=job) as replayed if may_see(call.key, job):
            return replayed
        case Replayed() | Conflict():
            raise _conflict(new)


async def submit_all(call: Call, new: Sequence[NewJob]) -> Sequence[Accepted]:
    """All or none. What is replayed the key may see: its fingerprint would not fit otherwise."""
    async with _room(call.api, len(new)):
        submitted = await call.api.intake.submit_all(new)
    accepted: list[Accepted] = []
    for each in submitted:
        match each:
            case Created() | Replayed():
                accepted.append(each)
            case Conflict(job=job):
                raise _conflict(next(one for one in new if one.idempotency_key == job.idempotency_key))
    return accepted


def _conflict(new: NewJob) -> Rejected:
    message = "This Idempotency-Key is in use for another request; send a new one."
    return Rejected(409, "idempotency_conflict", message, details={"idempotency_key": new.idempotency_key})


@asynccontextmanager
async def _room(api: Api, more: int) -> AsyncGenerator[None]:
    """The block writes so many jobs. Raises `Rejected` if the queue is full."""
    api.admission()
    waiting = await api.queue_length.let_in(more, api.rules.max_queued, lambda: _waiting(api), api.clock)
    if waiting is not None:
        message = (
            f"{waiting} jobs wait already, and no more than {api.rules.max_queued} may; try again later."
        )
        raise Rejected(429, "too_busy", message, retry_after=10)
    try:
        yield
    finally:
        api.queue_length.written(more)


async def _waiting(api: Api) -> int:
    return (await api.jobs.counts()).get(Status.QUEUED, 0)
