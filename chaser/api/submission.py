"""Writing jobs on behalf of a client, or finding those that the same call has written before."""

from collections.abc import Sequence

from chaser.api.auth import may_see
from chaser.api.call import Call
from chaser.api.context import Api
from chaser.errors import Rejected
from chaser.jobs.job import NewJob, Status
from chaser.jobs.ports import Conflict, Created, Replayed

Accepted = Created | Replayed


async def submit(call: Call, new: NewJob) -> Accepted:
    """Raises `Rejected`: the queue is full, or the idempotency key is another's."""
    await _refuse_when_full(call.api, 1)
    match await call.api.intake.submit(new):
        case Created() as created:
            return created
        case Replayed(job=job) as replayed if may_see(call.key, job):
            return replayed
        case Replayed() | Conflict():
            raise _conflict(new)


async def submit_all(call: Call, new: Sequence[NewJob]) -> Sequence[Accepted]:
    """All or none. What is replayed the key may see: its fingerprint would not fit otherwise."""
    await _refuse_when_full(call.api, len(new))
    accepted: list[Accepted] = []
    for each in await call.api.intake.submit_all(new):
        match each:
            case Created() | Replayed():
                accepted.append(each)
            case Conflict(job=job):
                raise _conflict(next(one for one in new if one.idempotency_key == job.idempotency_key))
    return accepted


def _conflict(new: NewJob) -> Rejected:
    message = "This Idempotency-Key is in use for another request; send a new one."
    return Rejected(409, "idempotency_conflict", message, details={"idempotency_key": new.idempotency_key})


async def _refuse_when_full(api: Api, more: int) -> None:
    api.admission()
    waiting = await api.queue_length.let_in(more, api.rules.max_queued, lambda: _waiting(api), api.clock)
    if waiting is not None:
        message = (
            f"{waiting} jobs wait already, and no more than {api.rules.max_queued} may; try again later."
        )
        raise Rejected(429, "too_busy", message, retry_after=10)


async def _waiting(api: Api) -> int:
    return (await api.jobs.counts()).get(Status.QUEUED, 0)
