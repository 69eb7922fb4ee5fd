"""POST /v1/jobs, one or many; and an ended job once more."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import cast

import structlog
from starlette.responses import Response

from chaser.api.answers import job_answer, job_line
from chaser.api.auth import require_profile, require_scope, visible_job
from chaser.api.body import Body, read_json
from chaser.api.call import Call, shown
from chaser.api.context import Api
from chaser.api.drafts import Drafts
from chaser.api.faults import invalid
from chaser.api.idempotency import HEADER, REPLAYED, fingerprint, header_key
from chaser.api.middleware import add_header
from chaser.api.orders import Order, admit, admit_orders, read_order, read_orders
from chaser.api.schemas.job_request import BatchAnswer, BatchEntry, BatchRequest, JobRequest
from chaser.api.submission import Accepted, submit, submit_all
from chaser.errors import FieldFault, Rejected
from chaser.ids import new_job_id
from chaser.jobs.job import Job, NewJob
from chaser.jobs.kind import Admitted, ServiceKind
from chaser.jobs.ports import Replayed
from chaser.keys import ApiKey

ATTEMPTS = 3
"""How often a job is started, if it does not say; what `retry` grants comes on top."""


async def create(call: Call) -> Response:
    body = await read_json(call.request, call.api.rules)
    order = read_order(call.api, body)
    header, field = header_key(call.request), order.request.idempotency_key
    if header is not None and field is not None and header != field:
        raise invalid([FieldFault("/idempotency_key", f"differs from the header {HEADER}; send one of them")])
    admitted = admit(call.api, order.kind, order.request.input, "/input")
    draft = await Drafts(call).draft(order.kind, admitted, "/input")
    new = _as_ordered(call.key, draft, order, admitted, field or header)
    return await _answer(call, await submit(call, new))


async def create_all(call: Call) -> Response:
    """All or none; nothing is looked up before all are well-formed."""
    if header_key(call.request) is not None:
        message = f"The header {HEADER} names one job; give each job of a batch its own idempotency_key."
        raise Rejected(422, "invalid_request", message, details={"header": HEADER})
    body = await read_json(call.request, call.api.rules, call.api.rules.batch_bytes)
    # a large document takes time to read, which others need not wait for
    ordered = await asyncio.to_thread(_read_all, call.api, body)
    drafts = Drafts(call)
    new = [
        _as_ordered(
            call.key,
            await drafts.draft(order.kind, admitted, f"{order.at}/input"),
            order,
            admitted,
            order.request.idempotency_key,
        )
        for order, admitted in ordered
    ]
    accepted = await submit_all(call, new)
    entries = [await _entry(call.api, each) for each in accepted]
    return shown(BatchAnswer(data=entries), 201)


def _read_all(api: Api, body: Body) -> list[tuple[Order, Admitted]]:
    documents = body.parse(BatchRequest).jobs
    orders = read_orders(api, cast("list[object]", documents), "/jobs")
    return list(zip(orders, admit_orders(api, orders), strict=True))


async def _entry(api: Api, accepted: Accepted) -> BatchEntry:
    fields = (await job_line(api, accepted.job)).model_dump()
    return BatchEntry(**fields, replayed=isinstance(accepted, Replayed))


async def retry(call: Call) -> Response:
    """A new job with the same input, due at once, that nobody need hold on to."""
    job = await visible_job(call.api, call.key, call.request.path_params["id"])
    if not job.status.ended:
        message = f"The job is {job.status.value}; cancel it, or wait for its end, and retry it then."
        raise Rejected(409, "job_not_finished", message, details={"job": job.id})
    new = await _again(call, job)
    key = header_key(call.request)
    if key is not None:
        body = Body(b"", {"retry_of": job.id})
        new = replace(new, idempotency_key=key, fingerprint=fingerprint(call.key, "retry", body))
    return await _answer(call, await submit(call, new))


async def _again(call: Call, job: Job) -> NewJob:
    kind = call.api.kinds.get(job.kind)
    if kind is None or not kind.open:
        message = f"Jobs of the kind {job.kind} are not made on request."
        raise Rejected(403, "kind_not_allowed", message)
    if kind.scope is not None:
        require_scope(call.key, kind.scope)
    if job.profile is not None:
        require_profile(call.key, job.profile)
    if job.workspace is not None:
        await call.api.workspaces.use(job.workspace.id, call.key)
    if isinstance(kind, ServiceKind):
        # what such a job acts on, only its input says
        admitted = kind.admit(kind.input.model_validate(job.input, strict=False), call.api.rules.bounds)
        for selector in admitted.workspaces.values():
            await call.api.workspaces.find(selector, call.key)
    now = call.api.clock.now()
    return NewJob(
        id=new_job_id(now),
        kind=job.kind,
        input=job.input,
        secrets=job.secrets,
        created_at=now,
        queue_until=None,
        profile=job.profile,
        workspace=job.workspace,
        concurrency_key=job.concurrency_key,
        retry=job.retry,
        retry_of=job.id,
        max_attempts=job.max_attempts,
        priority=job.priority,
        key_id=call.key.id,
    )


def _as_ordered(
    key: ApiKey, draft: NewJob, order: Order, admitted: Admitted, idempotency_key: str | None
) -> NewJob:
    """The draft on the client's terms."""
    asked = order.request
    retry = None if asked.retry is None else asked.retry.retry()
    due = max(draft.created_at, asked.run_at or draft.created_at)
    waits = _queue_timeout(asked, admitted, order.at)
    return replace(
        draft,
        run_at=asked.run_at,
        priority=asked.priority or 0,
        max_attempts=asked.max_attempts or ATTEMPTS,
        retry=retry,
        concurrency_key=asked.concurrency_key,
        queue_until=None if waits is None else due + waits,
        leash=None if asked.leash_ms is None else timedelta(milliseconds=asked.leash_ms),
        idempotency_key=idempotency_key,
        fingerprint=fingerprint(key, "job", order.body) if idempotency_key else None,
    )


def _queue_timeout(asked: JobRequest, admitted: Admitted, at: str) -> timedelta | None:
    if asked.queue_timeout_ms is None:
        return admitted.queue_timeout
    if admitted.queue_timeout is not None:
        raise invalid([FieldFault(f"{at}/queue_timeout_ms", "is said by the input too; say it once")])
    return timedelta(milliseconds=asked.queue_timeout_ms)


async def _answer(call: Call, accepted: Accepted) -> Response:
    job, replayed = accepted.job, isinstance(accepted, Replayed)
    structlog.contextvars.bind_contextvars(job_id=job.id)
    if replayed:
        add_header(call.request, REPLAYED, "true")
    answer = shown(await job_answer(call.api, job), 200 if replayed else 201)
    answer.headers["Location"] = f"/v1/jobs/{job.id}"
    return answer
