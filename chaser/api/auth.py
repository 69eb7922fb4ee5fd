"""Who asks, and what they may do."""

import re
from typing import NoReturn

from starlette.requests import Request

from chaser import keys
from chaser.api.context import Api
from chaser.api.leash import touch
from chaser.api.schemas.jobs import JOB_ID
from chaser.errors import Rejected
from chaser.ids import JobId
from chaser.jobs.job import Job
from chaser.keys import ApiKey, Scope

_JOB_ID = re.compile(JOB_ID)
_NO_JOB = "There is no such job, or this key may not see it; GET /v1/jobs lists those that it may."


async def authenticate(api: Api, request: Request) -> ApiKey:
    """The key in the request's Authorization header. Missing, malformed, unknown, revoked, expired: one error."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    secret = keys.parse(text.strip()) if scheme.lower() == "bearer" else None
    key = await api.keys.by_public(secret.public) if secret else None
    if secret is None or key is None or not key.opened_by(secret) or not key.valid_at(api.clock.now()):
        raise Rejected(
            401,
            "unauthorized",
            "This needs a valid API key: send `Authorization: Bearer sk_…`. Make one with `chaser keys create`.",
        )
    return key


def require_scope(key: ApiKey, scope: Scope) -> None:
    if scope not in key.scopes:
        forbid(f"The key lacks the scope {scope.value}; use one that has it.")


def require_profile(key: ApiKey, profile: str) -> None:
    if key.profiles is not None and profile not in key.profiles:
        allowed = ", ".join(sorted(key.profiles))
        forbid(f"The key may not use the profile {profile!r}; it may use: {allowed}.")


def forbid(message: str) -> NoReturn:
    raise Rejected(403, "forbidden", message)


def may_see(key: ApiKey, job: Job) -> bool:
    return not key.own_jobs or job.key_id == key.id


async def visible_job(api: Api, key: ApiKey, job_id: str) -> Job:
    """The job, whose leash this renews. One that the key may not see is the same to it as one that there isn't."""
    job = await api.jobs.get(JobId(job_id)) if _JOB_ID.fullmatch(job_id) else None
    if job is None or not may_see(key, job):
        raise Rejected(404, "job_not_found", _NO_JOB)
    await touch(api, job)
    return job
