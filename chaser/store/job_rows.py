"""A job as a row: from a `NewJob`, and to a `Job`, its secrets sealed in one column."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from chaser.ids import JobId, KeyId, SandboxId
from chaser.jobs.job import NO_SECRETS, Job, NewJob, Secrets, Status
from chaser.jobs.reason import Reason
from chaser.jobs.row import mapping, optional_text, text
from chaser.store.sealing import Sealer

AnyRow = Row[tuple[Any, ...]]


def place(job_id: str) -> str:
    """Where a job's secrets are sealed: the name that binds them to their row."""
    return f"jobs/{job_id}"


def values_of(new: NewJob, sealer: Sealer) -> Mapping[str, object]:
    """The columns of a job that has just been made."""
    return {
        "id": new.id,
        "kind": new.kind,
        "status": Status.QUEUED.value,
        "input": dict(new.input),
        "sealed": _sealed(new, sealer),
        "attempt": 0,
        "max_attempts": new.max_attempts,
        "priority": new.priority,
        "key_id": new.key_id,
        "idempotency_key": new.idempotency_key,
        "origin": new.origin,
        "created_at": new.created_at,
        "run_at": new.run_at,
        "queue_until": new.queue_until,
    }


def job_of(row: AnyRow, sealer: Sealer) -> Job:
    """Raises `Unsealable` if its secrets cannot be opened."""
    return Job(
        id=JobId(row.id),
        kind=row.kind,
        status=Status(row.status),
        reason=_reason(row.reason),
        message=row.message,
        input=row.input,
        secrets=_opened(row, sealer),
        result=row.result,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        priority=row.priority,
        key_id=None if row.key_id is None else KeyId(row.key_id),
        idempotency_key=row.idempotency_key,
        origin=row.origin,
        sandbox_id=None if row.sandbox_id is None else SandboxId(row.sandbox_id),
        cancel_requested=_reason(row.cancel_requested),
        created_at=row.created_at,
        run_at=row.run_at,
        queue_until=row.queue_until,
        started_at=row.started_at,
        handed_over_at=row.handed_over_at,
        finished_at=row.finished_at,
    )


def _reason(value: str | None) -> Reason | None:
    return None if value is None else Reason(value)


def _sealed(new: NewJob, sealer: Sealer) -> bytes | None:
    secrets = new.secrets
    if secrets == NO_SECRETS and new.fingerprint is None:
        return None
    clear = {
        "env": dict(secrets.env),
        "masked": dict(secrets.masked),
        "stdin": secrets.stdin,
        # A digest of a body that holds a weak secret would let the secret be guessed.
        "fingerprint": new.fingerprint,
    }
    return sealer.seal(place(new.id), json.dumps(clear).encode())


def fingerprint_of(row: AnyRow, sealer: Sealer) -> str | None:
    """What the job's request looked like, to tell a repetition from a conflict. Raises `Unsealable`."""
    return None if row.sealed is None else optional_text(_clear(row, sealer), "fingerprint")


def _clear(row: AnyRow, sealer: Sealer) -> dict[str, object]:
    return json.loads(sealer.open(place(row.id), row.sealed))


def _opened(row: AnyRow, sealer: Sealer) -> Secrets:
    if row.sealed is None:
        return NO_SECRETS
    clear = _clear(row, sealer)
    return Secrets(env=_texts(clear, "env"), masked=_texts(clear, "masked"), stdin=text(clear, "stdin"))


def _texts(clear: Mapping[str, object], key: str) -> Mapping[str, str]:
    named = mapping(clear, key)
    return {name: text(named, name) for name in named}
