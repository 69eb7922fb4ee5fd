"""POST /v1/exec: one command in, its result out."""

from dataclasses import replace

import structlog
from starlette.requests import Request
from starlette.responses import Response

from chaser.api import sse
from chaser.api.answers import job_answer
from chaser.api.body import read_json
from chaser.api.call import Call, shown
from chaser.api.drafts import Drafts
from chaser.api.event_stream import EventStream
from chaser.api.idempotency import REPLAYED, fingerprint, header_key
from chaser.api.long_answer import LongAnswer
from chaser.api.middleware import add_header
from chaser.api.orders import admit, context
from chaser.api.submission import submit
from chaser.jobs.job import Job, NewJob
from chaser.jobs.kinds.exec import NAME, ExecRequest
from chaser.jobs.ports import Replayed

JOB_HEADER = "X-Chaser-Job"


async def run(call: Call) -> Response:
    """Accept the run, then answer in the form that was asked for."""
    accepted = await submit(call, await _new_job(call))
    job = accepted.job
    structlog.contextvars.bind_contextvars(job_id=job.id)
    add_header(call.request, JOB_HEADER, job.id)
    if isinstance(accepted, Replayed):
        add_header(call.request, REPLAYED, "true")
    if _prefers_async(call.request):
        return await _accepted(call, job)
    if sse.wanted(call.request):
        return EventStream(call.api, job, sse.last_number(call.request))
    return LongAnswer(call.api, job)


async def _new_job(call: Call) -> NewJob:
    """A job like any other, but for its shorter patience."""
    body = await read_json(call.request, call.api.rules)
    kind, asked = call.api.kinds[NAME], body.parse(ExecRequest, context(call.api))
    admitted = admit(call.api, kind, asked, "")
    draft = await Drafts(call).draft(kind, admitted, "")
    key = header_key(call.request)
    return replace(
        draft,
        queue_until=draft.created_at + (admitted.queue_timeout or call.api.rules.default_queue_timeout),
        idempotency_key=key,
        fingerprint=fingerprint(call.key, NAME, body) if key else None,
    )


async def _accepted(call: Call, job: Job) -> Response:
    answer = shown(await job_answer(call.api, job), 202)
    answer.headers["Location"] = f"/v1/jobs/{job.id}"
    answer.headers["Preference-Applied"] = "respond-async"
    return answer


def _prefers_async(request: Request) -> bool:
    """https://www.rfc-editor.org/rfc/rfc7240#section-4.1"""
    wishes = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return any(wish.partition(";")[0].strip() == "respond-async" for wish in wishes)
