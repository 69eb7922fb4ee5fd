"""POST /v1/exec: one command in, its result out."""

import hashlib
import re
from datetime import timedelta

import structlog
from starlette.requests import Request
from starlette.responses import Response

from chaser.api.answers import job_answer
from chaser.api.auth import may_see, require_profile
from chaser.api.body import Body, read_json
from chaser.api.call import Call, shown
from chaser.api.context import Api, Rules
from chaser.api.event_stream import MEDIA_TYPE, EventStream
from chaser.api.long_answer import LongAnswer
from chaser.api.middleware import add_header
from chaser.api.schemas.exec import ExecRequest
from chaser.errors import Rejected
from chaser.ids import new_job_id
from chaser.jobs.job import Job, NewJob, Status
from chaser.jobs.kinds.exec import NAME, admit
from chaser.jobs.ports import Conflict, Created, Replayed

JOB_HEADER = "X-Chaser-Job"
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
_EVENT_ID = re.compile(r"[0-9]{1,15}")


async def run(call: Call) -> Response:
    """Accept the run, then answer in the form that was asked for."""
    body = await read_json(call.request, call.api.rules)
    wanted = _wanted(body, call.api)
    require_profile(call.key, wanted.profile or "default")
    job = await _submit(call, _new_job(call, wanted, body))
    structlog.contextvars.bind_contextvars(job_id=job.id)
    add_header(call.request, JOB_HEADER, job.id)
    if _prefers_async(call.request):
        return await _accepted(call, job)
    if _accepts_events(call.request):
        return EventStream(call.api, job, _last_event(call.request))
    return LongAnswer(call.api, job)


def _wanted(body: Body, api: Api) -> ExecRequest:
    """The request, well-formed and within what this version serves."""
    wanted = body.parse(ExecRequest, _context(api))
    if not_served := wanted.not_served():
        fields = ", ".join(not_served)
        raise Rejected(
            422,
            "not_supported",
            f"This version does not serve these fields yet: {fields}. Leave them out.",
            details={"not_supported": [f"/{name}" for name in not_served]},
        )
    return wanted


def _context(api: Api) -> dict[str, object]:
    rules = api.rules
    return {
        "timeout_ms": _milliseconds(rules.max_timeout),
        "queue_timeout_ms": _milliseconds(rules.max_queue_timeout),
        "profiles": frozenset(api.profiles),
    }


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _new_job(call: Call, wanted: ExecRequest, body: Body) -> NewJob:
    admitted = admit(wanted.ask(call.api.rules.default_timeout), call.api.profiles)
    now = call.api.clock.now()
    key = _idempotency_key(call.request)
    return NewJob(
        id=new_job_id(now),
        kind=NAME,
        input=admitted.input,
        secrets=admitted.secrets,
        created_at=now,
        run_at=now,
        queue_until=now + _queue_timeout(wanted, call.api.rules),
        key_id=call.key.id,
        idempotency_key=key,
        fingerprint=_fingerprint(body) if key else None,
    )


def _queue_timeout(wanted: ExecRequest, rules: Rules) -> timedelta:
    if wanted.queue_timeout_ms is None:
        return rules.default_queue_timeout
    return timedelta(milliseconds=wanted.queue_timeout_ms)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and _IDEMPOTENCY_KEY.fullmatch(key) is None:
        message = "The header Idempotency-Key must be 1 to 255 printable ASCII characters; a UUID does well."
        raise Rejected(422, "invalid_request", message, details={"header": "Idempotency-Key"})
    return key


def _fingerprint(body: Body) -> str:
    return hashlib.sha256(NAME.encode() + b"\n" + body.canonical()).hexdigest()


async def _submit(call: Call, new: NewJob) -> Job:
    """The job that answers this call: a new one, or the one that the same call made before."""
    call.api.admission()
    await _refuse_when_full(call.api)
    match await call.api.intake.submit(new):
        case Created(job=job):
            return job
        case Replayed(job=job) if may_see(call.key, job):
            add_header(call.request, "Idempotent-Replayed", "true")
            return job
        case Replayed() | Conflict():
            message = "This Idempotency-Key is in use for another request; send a new one."
            raise Rejected(409, "idempotency_conflict", message)


async def _refuse_when_full(api: Api) -> None:
    waiting = (await api.jobs.counts()).get(Status.QUEUED, 0)
    if waiting >= api.rules.max_queued:
        message = f"{waiting} jobs wait already, and no more may; try again later."
        raise Rejected(429, "too_busy", message, retry_after=10)


async def _accepted(call: Call, job: Job) -> Response:
    answer = shown(await job_answer(call.api, job), 202)
    answer.headers["Location"] = f"/v1/jobs/{job.id}"
    answer.headers["Preference-Applied"] = "respond-async"
    return answer


def _prefers_async(request: Request) -> bool:
    """https://www.rfc-editor.org/rfc/rfc7240#section-4.1"""
    wishes = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return any(wish.partition(";")[0].strip() == "respond-async" for wish in wishes)


def _accepts_events(request: Request) -> bool:
    ranges = ",".join(request.headers.getlist("accept")).lower().split(",")
    return any(one.partition(";")[0].strip() == MEDIA_TYPE for one in ranges)


def _last_event(request: Request) -> int:
    """Where a repeated call goes on; something else than a number of ours means from the beginning."""
    given = request.headers.get("last-event-id", "")
    return int(given) if _EVENT_ID.fullmatch(given) else 0
