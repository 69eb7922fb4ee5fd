"""A job as a row: from a `NewJob`, and to a `Job`, its secrets sealed in one column."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from chaser.ids import JobId, KeyId, SandboxId, WorkerId, WorkspaceId
from chaser.jobs.job import NO_SECRETS, Job, NewJob, Retry, Secrets, Setback, Status
from chaser.jobs.reason import Reason
from chaser.jobs.row import integer, mapping, optional_text, text, texts
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.store.sealing import Sealer

AnyRow = Row[*tuple[Any, ...]]
_MILLISECOND = timedelta(milliseconds=1)

COLUMNS = (
    *("id", "kind", "status", "input", "sealed", "attempt", "max_attempts", "priority"),
    *("key_id", "idempotency_key", "origin", "created_at", "run_at", "queued_at", "queue_until"),
    *("profile", "workspace_id", "workspace_mode", "concurrency_key", "retry", "retries"),
    *("leash_ms", "retry_of", "history", "ready", "round"),
)
"""Those that are written when a job is made; the others are empty then, but `lane` and `tenant` where it is in one."""


def place(job_id: str) -> str:
    """Where a job's secrets are sealed: the name that binds them to their row."""
    return f"jobs/{job_id}"


def values_of(new: NewJob, sealer: Sealer) -> dict[str, object]:
    """The `COLUMNS` of a job that has just been made, but for whether it is ready, and its round."""
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
        "run_at": new.run_at or new.created_at,
        "queued_at": new.created_at,
        "queue_until": new.queue_until,
        "profile": new.profile,
        "workspace_id": None if new.workspace is None else new.workspace.id,
        "workspace_mode": None if new.workspace is None else new.workspace.mode.value,
        "concurrency_key": new.concurrency_key,
        "retry": None if new.retry is None else _retry_document(new.retry),
        "retries": 0,
        "leash_ms": None if new.leash is None else new.leash // _MILLISECOND,
        "retry_of": new.retry_of,
        "history": 1,
        "lane": new.lane,
        "tenant": new.tenant,
    }


def job_of(row: AnyRow, sealer: Sealer) -> Job:
    """Raises `Unsealable` if its secrets cannot be opened."""
    return _job(row, _opened(row, sealer))


def fresh(new: NewJob, *, ready: bool) -> Job:
    """What reading the row of a job that has just been made would give."""
    return Job(
        id=new.id,
        kind=new.kind,
        status=Status.QUEUED,
        reason=None,
        message=None,
        input=dict(new.input),
        secrets=new.secrets,
        result=None,
        attempt=0,
        max_attempts=new.max_attempts,
        priority=new.priority,
        key_id=new.key_id,
        idempotency_key=new.idempotency_key,
        origin=new.origin,
        worker=None,
        profile=new.profile,
        workspace=new.workspace,
        concurrency_key=new.concurrency_key,
        retry=new.retry,
        retries=0,
        leash=new.leash,
        retry_of=new.retry_of,
        sandbox_id=None,
        cancel_requested=None,
        created_at=new.created_at,
        run_at=new.run_at or new.created_at,
        queued_at=new.created_at,
        ready=ready,
        queue_until=new.queue_until,
        started_at=None,
        handed_over_at=None,
        finished_at=None,
        lane=new.lane,
        tenant=new.tenant,
    )


def without_secrets(row: AnyRow) -> Job:
    return _job(row, NO_SECRETS)


def _job(row: AnyRow, secrets: Secrets) -> Job:
    return Job(
        id=JobId(row.id),
        kind=row.kind,
        status=Status(row.status),
        reason=_reason(row.reason),
        message=row.message,
        input=row.input,
        secrets=secrets,
        result=row.result,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        priority=row.priority,
        key_id=None if row.key_id is None else KeyId(row.key_id),
        idempotency_key=row.idempotency_key,
        origin=row.origin,
        worker=None if row.worker is None else WorkerId(row.worker),
        profile=row.profile,
        workspace=workspace_of(row),
        concurrency_key=row.concurrency_key,
        retry=None if row.retry is None else _retry(row.retry),
        retries=row.retries,
        leash=None if row.leash_ms is None else row.leash_ms * _MILLISECOND,
        retry_of=None if row.retry_of is None else JobId(row.retry_of),
        sandbox_id=None if row.sandbox_id is None else SandboxId(row.sandbox_id),
        cancel_requested=_reason(row.cancel_requested),
        created_at=row.created_at,
        run_at=row.run_at,
        queued_at=row.queued_at,
        ready=row.ready,
        queue_until=row.queue_until,
        started_at=row.started_at,
        handed_over_at=row.handed_over_at,
        finished_at=row.finished_at,
        setback=None
        if row.setback_reason is None
        else Setback(Reason(row.setback_reason), row.setback_message),
        lane=row.lane,
        tenant=row.tenant,
    )


def workspace_of(row: AnyRow) -> WorkspaceUse | None:
    if row.workspace_id is None:
        return None
    return WorkspaceUse(WorkspaceId(row.workspace_id), WorkspaceMode(row.workspace_mode))


def _reason(value: str | None) -> Reason | None:
    return None if value is None else Reason(value)


def _retry_document(retry: Retry) -> dict[str, object]:
    return {
        "on": sorted(retry.on),
        "most": retry.most,
        "backoff_ms": retry.backoff // _MILLISECOND,
        "backoff_most_ms": retry.backoff_most // _MILLISECOND,
    }


def _retry(document: Mapping[str, object]) -> Retry:
    return Retry(
        on=frozenset(Reason(reason) for reason in texts(document, "on")),
        most=integer(document, "most"),
        backoff=integer(document, "backoff_ms") * _MILLISECOND,
        backoff_most=integer(document, "backoff_most_ms") * _MILLISECOND,
    )


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
