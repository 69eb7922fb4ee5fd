"""Rows of jobs by themselves, for tests to which it does not matter how they came to be."""

from datetime import datetime

from sqlalchemy import insert

from chaser.ids import JobId, new_job_id
from chaser.store.store import Store
from chaser.store.tables import jobs


async def queued(store: Store, at: datetime, **changes: object) -> JobId:
    """A job that waits. `changes` are columns."""
    job_id = new_job_id(at)
    row: dict[str, object] = {
        "id": job_id,
        "kind": "sandbox.exec",
        "status": "queued",
        "input": {"command": "true"},
        "attempt": 0,
        "max_attempts": 3,
        "priority": 0,
        "retries": 0,
        "ready": False,
        "created_at": at,
        "run_at": at,
        "queued_at": at,
        "behind": 0,
        "history": 0,
        **changes,
    }
    await store.database.write(lambda connection: connection.execute(insert(jobs), row))
    return job_id


async def ended(store: Store, at: datetime, **changes: object) -> JobId:
    """A job that has ended then."""
    end = {"status": "cancelled", "reason": "cancelled_by_user", "finished_at": at}
    return await queued(store, at, **end, **changes)
