"""Rows for tests of whatever stands on the store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chaser.ids import SandboxId, WorkerId, new_job_id, new_sandbox_id
from chaser.jobs.job import Job, NewJob, Secrets
from chaser.jobs.ports import Claim, Created, JobStore, SandboxRow
from chaser.sandboxes.spec import StepTerms, Streams, Terms

START = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = WorkerId("run_first")
LATER_WORKER = WorkerId("run_second")
ENGINE = "engine-a"
SEAT = "seat-a"
TERMS = Terms(
    nonce="n0nce",
    steps=(
        StepTerms(timedelta(seconds=5), may_fail=True, replaces_shell=False),
        StepTerms(None, may_fail=False, replaces_shell=True),
    ),
    timeout=timedelta(minutes=1, microseconds=1),
    streams=Streams.SPLIT,
    masked={"TOKEN": "clear-masked-value"},
)
SECRETS = Secrets(
    env={"CITY": "clear-env-value"}, masked={"TOKEN": "clear-masked-value"}, stdin="clear-stdin"
)


def new_job(at: datetime = START, **changes: object) -> NewJob:
    """A job that is due at once; `changes` are fields of `NewJob`."""
    plain = NewJob(
        id=new_job_id(at),
        kind="sandbox.exec",
        input={"command": "true"},
        secrets=SECRETS,
        created_at=at,
        queue_until=None,
    )
    return replace(plain, **changes)  # pyright: ignore[reportArgumentType]


async def enqueued(jobs: JobStore, at: datetime = START, **changes: object) -> Job:
    created = await jobs.enqueue(new_job(at, **changes))
    assert isinstance(created, Created)
    return created.job


def first(claims: Sequence[Claim]) -> Claim | None:
    return claims[0] if claims else None


async def claimed(jobs: JobStore, at: datetime = START, worker: WorkerId = WORKER) -> Claim:
    """The claim on the job that is next."""
    claim = first(await jobs.claim(worker, at))
    assert claim is not None
    return claim


def sandbox_of(claim: Claim, at: datetime = START, engine_id: str = ENGINE) -> SandboxRow:
    return SandboxRow(
        id=SandboxId(new_sandbox_id(at)),
        job_id=claim.job.id,
        attempt=claim.attempt,
        worker=claim.worker,
        engine_id=engine_id,
        created_at=at,
    )
