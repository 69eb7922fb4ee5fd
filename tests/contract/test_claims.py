"""What every job store promises to workers, on each database: claims, and the fence around what follows them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from chaser.errors import Unavailable
from chaser.ids import KeyId
from chaser.jobs.job import Setback, Status, Verdict
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Claim, Fence, Full, Progress
from chaser.jobs.reason import Reason
from chaser.keys import ApiKey
from chaser.store.store import Store
from tests.rows import LATER_WORKER, START, TERMS, WORKER, claimed, enqueued, first, sandbox_of

SECOND = timedelta(seconds=1)
SUCCESS = Verdict(Status.SUCCEEDED, None, None, {"exit_code": 0})


async def test_a_claim_takes_the_job_and_counts_the_attempt(store: Store) -> None:
    job = await enqueued(store.jobs)

    claim = await claimed(store.jobs)

    assert (claim.job.id, claim.attempt, claim.worker) == (job.id, 1, WORKER)
    assert claim.job.status is Status.STARTING
    assert claim.job.secrets == job.secrets
    assert claim.job == await store.jobs.get(job.id)


async def test_nothing_waiting_is_no_claim(store: Store) -> None:
    assert not await store.jobs.claim(WORKER, START, Full())


async def test_the_highest_priority_goes_first_and_then_the_oldest(store: Store) -> None:
    old = await enqueued(store.jobs, START)
    young = await enqueued(store.jobs, START + timedelta(microseconds=1))
    urgent = await enqueued(store.jobs, START + SECOND, priority=1)

    order = [(await claimed(store.jobs, START + SECOND)).job.id for _ in range(3)]

    assert order == [urgent.id, old.id, young.id]


async def test_a_job_that_is_not_due_is_not_claimed(store: Store) -> None:
    await enqueued(store.jobs, run_at=START + SECOND)

    assert not await store.jobs.claim(WORKER, START, Full())
    assert await store.jobs.promote(START + SECOND) == 1
    assert await store.jobs.claim(WORKER, START + SECOND, Full())


async def test_a_job_whose_wait_is_over_is_not_claimed(store: Store) -> None:
    await enqueued(store.jobs, queue_until=START + SECOND)

    assert not await store.jobs.claim(WORKER, START + SECOND, Full())


async def test_jobs_of_paused_keys_are_passed_over(store: Store) -> None:
    await enqueued(store.jobs, key_id=KeyId("key_busy"))
    other = await enqueued(store.jobs, START + SECOND, key_id=KeyId("key_free"))
    own = await enqueued(store.jobs, START + 2 * SECOND)
    full = Full(keys=frozenset({KeyId("key_busy"), KeyId("key_unknown")}))

    claims = [first(await store.jobs.claim(WORKER, START + 2 * SECOND, full)) for _ in range(3)]

    assert [claim and claim.job.id for claim in claims] == [other.id, own.id, None]


async def test_twenty_claims_at_once_take_twenty_jobs(store: Store) -> None:
    jobs = {(await enqueued(store.jobs)).id for _ in range(20)}

    claims = await asyncio.gather(*(store.jobs.claim(WORKER, START) for _ in range(25)))

    taken = [claim.job.id for each in claims for claim in each]
    assert len(taken) == 20
    assert set(taken) == jobs


async def test_a_run_writes_its_whole_history(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs, START + SECOND)
    sandbox = sandbox_of(claim)

    assert await store.jobs.name_sandbox(claim, sandbox) is Fence.HELD
    assert await store.jobs.hand_over(claim, TERMS, START + 2 * SECOND) is Fence.HELD
    assert await store.jobs.begin(claim, START + 3 * SECOND) is Fence.HELD
    verdict = Verdict(Status.FAILED, Reason.NONZERO_EXIT, "It ended with exit status 3.", {"exit_code": 3})
    assert await store.jobs.finish(claim, verdict, START + 4 * SECOND) is Fence.HELD

    job = await store.jobs.get(claim.job.id)
    assert job is not None
    assert (job.status, job.reason, job.message, job.result) == (
        verdict.status,
        verdict.reason,
        verdict.message,
        verdict.result,
    )
    assert job.sandbox_id == sandbox.id
    assert (job.handed_over_at, job.started_at, job.finished_at) == (
        START + 2 * SECOND,
        START + 3 * SECOND,
        START + 4 * SECOND,
    )
    history = await store.jobs.events(claim.job.id)
    assert [(event.seq, event.attempt, event.from_status, event.to_status) for event in history] == [
        (1, 0, None, Status.QUEUED),
        (2, 1, Status.QUEUED, Status.STARTING),
        (3, 1, Status.STARTING, Status.RUNNING),
        (4, 1, Status.RUNNING, Status.FAILED),
    ]
    assert [event.at for event in history] == [START, *(START + n * SECOND for n in (1, 3, 4))]
    assert (history[-1].reason, history[-1].message) == (verdict.reason, verdict.message)


async def test_a_job_put_back_holds_nothing_and_is_claimed_again(store: Store) -> None:
    await enqueued(store.jobs)
    first = await claimed(store.jobs)
    sandbox = sandbox_of(first)
    await store.jobs.name_sandbox(first, sandbox)
    await store.jobs.hand_over(first, TERMS, START)

    fence = await store.jobs.requeue(
        first, Reason.ENGINE_UNAVAILABLE, "It is down.", START + 5 * SECOND, START + SECOND
    )

    assert fence is Fence.HELD
    job = await store.jobs.get(first.job.id)
    assert job is not None
    assert (job.status, job.attempt, job.run_at) == (Status.QUEUED, 1, START + 5 * SECOND)
    assert (job.sandbox_id, job.handed_over_at, job.reason) == (None, None, None)
    assert job.setback == Setback(Reason.ENGINE_UNAVAILABLE, "It is down.")
    last = (await store.jobs.events(job.id))[-1]
    assert (last.from_status, last.to_status, last.reason, last.message) == (
        Status.STARTING,
        Status.QUEUED,
        Reason.ENGINE_UNAVAILABLE,
        "It is down.",
    )
    await store.jobs.sandbox_gone(sandbox.id, START)
    assert await store.jobs.promote(START + 5 * SECOND) == 1
    again = await claimed(store.jobs, START + 5 * SECOND)
    assert again.attempt == 2
    assert again.job.setback == job.setback, "whoever starts it can say why it is late"
    assert await store.jobs.name_sandbox(again, sandbox_of(again)) is Fence.HELD


async def test_a_job_whose_end_was_asked_for_is_cancelled_instead_of_put_back(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    await store.jobs.request_cancel(claim.job.id, Reason.CLIENT_GONE, START)

    assert await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START, START) is Fence.HELD

    job = await store.jobs.get(claim.job.id)
    assert job is not None
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CLIENT_GONE)


async def test_the_last_attempt_cannot_be_put_back(store: Store) -> None:
    await enqueued(store.jobs, max_attempts=1)
    claim = await claimed(store.jobs)

    with pytest.raises(IntegrityError):
        await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START, START)


async def test_a_second_sandbox_waits_until_the_first_is_gone(store: Store) -> None:
    await enqueued(store.jobs)
    first = await claimed(store.jobs)
    sandbox = sandbox_of(first)
    await store.jobs.name_sandbox(first, sandbox)
    await store.jobs.requeue(first, Reason.ENGINE_UNAVAILABLE, "It is down.", START, START)
    second = await claimed(store.jobs)

    with pytest.raises(Unavailable, match="not confirmed gone"):
        await store.jobs.name_sandbox(second, sandbox_of(second))

    job = await store.jobs.get(second.job.id)
    assert job is not None
    assert job.sandbox_id is None


Write = Callable[[Store, Claim], Awaitable[Fence]]
WRITES: dict[str, Write] = {
    "name_sandbox": lambda store, claim: store.jobs.name_sandbox(claim, sandbox_of(claim)),
    "hand_over": lambda store, claim: store.jobs.hand_over(claim, TERMS, START),
    "begin": lambda store, claim: store.jobs.begin(claim, START),
    "finish": lambda store, claim: store.jobs.finish(claim, SUCCESS, START),
    "requeue": lambda store, claim: store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START, START),
    "append": lambda store, claim: store.logs.append(
        claim, [Frame(1, Stream.OUTPUT, START, b"late")], Progress(seq=1)
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_an_earlier_attempt_can_write_nothing(store: Store, write: Write) -> None:
    await enqueued(store.jobs)
    earlier = await claimed(store.jobs)
    await store.jobs.requeue(earlier, Reason.HOST_LOST, "It went.", START, START)
    await claimed(store.jobs, worker=LATER_WORKER)
    before = await _everything(store, earlier)

    assert await write(store, earlier) is Fence.LOST
    assert await _everything(store, earlier) == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_nothing_is_written_after_the_end(store: Store, write: Write) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    await store.jobs.finish(claim, SUCCESS, START)
    before = await _everything(store, claim)

    assert await write(store, claim) is Fence.LOST
    assert await _everything(store, claim) == before


@pytest.mark.parametrize("write", ["name_sandbox", "hand_over", "requeue"])
async def test_what_belongs_to_the_start_is_too_late_once_it_runs(store: Store, write: str) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    await store.jobs.begin(claim, START)
    before = await _everything(store, claim)

    assert await WRITES[write](store, claim) is Fence.LOST
    assert await _everything(store, claim) == before


async def test_of_two_ends_at_once_one_holds(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    lost = Verdict(Status.FAILED, Reason.HOST_LOST, "It went.", {})

    fences = await asyncio.gather(
        store.jobs.finish(claim, SUCCESS, START), store.jobs.finish(claim, lost, START)
    )

    assert sorted(fences) == [Fence.HELD, Fence.LOST]
    assert len(await store.jobs.events(claim.job.id)) == 3


async def _everything(store: Store, claim: Claim) -> tuple[object, ...]:
    job_id = claim.job.id
    return (
        await store.jobs.get(job_id),
        await store.jobs.events(job_id),
        await store.logs.read(job_id, 0, 1 << 20),
        await store.jobs.sandboxes_left("engine-a", START + SECOND),
    )


async def test_where_every_slot_is_taken_only_what_needs_no_sandbox_is_claimed(store: Store) -> None:
    await enqueued(store.jobs, profile="default", priority=100)
    small = await enqueued(store.jobs, START + timedelta(seconds=1))

    claim = first(await store.jobs.claim(WORKER, START + timedelta(seconds=2), Full(slots=True)))

    assert claim is not None
    assert claim.job.id == small.id
    assert not await store.jobs.claim(WORKER, START + timedelta(seconds=2), Full(slots=True))


async def test_as_many_as_there_is_room_for_are_claimed_at_once_in_their_order(store: Store) -> None:
    early = [await enqueued(store.jobs, START + n * SECOND) for n in range(3)]
    urgent = await enqueued(store.jobs, START + 3 * SECOND, priority=1)
    last = await enqueued(store.jobs, START + 4 * SECOND)

    claims = await store.jobs.claim(WORKER, START + 4 * SECOND, most=5)
    rest = await store.jobs.claim(WORKER, START + 4 * SECOND, most=5)

    assert [claim.job.id for claim in claims] == [urgent.id, *(job.id for job in early)]
    assert [claim.job.id for claim in rest] == [last.id]


async def test_where_a_key_has_a_cap_each_is_claimed_alone(store: Store) -> None:
    """The next one's key may have reached it by then."""
    await store.keys.add(
        ApiKey(KeyId("key_capped"), "capped", "p", bytes(32), frozenset(), START, max_running=1)
    )
    for _ in range(5):
        await enqueued(store.jobs, key_id=KeyId("key_capped"))

    assert len(await store.jobs.claim(WORKER, START, most=4)) == 1
    await store.keys.revoke(KeyId("key_capped"), START)
    assert len(await store.jobs.claim(WORKER, START, most=4)) == 4


async def test_claims_of_many_at_once_never_take_a_job_twice(store: Store) -> None:
    jobs = {(await enqueued(store.jobs)).id for _ in range(20)}

    claims = await asyncio.gather(*(store.jobs.claim(WORKER, START, most=4) for _ in range(10)))

    taken = [claim.job.id for each in claims for claim in each]
    assert sorted(taken) == sorted(jobs)
