"""GitHub's payloads, read once into the fleet's own types.

Only the fields that we use are looked at, and these strictly: a wrong type, a NUL or a number that no database holds
is a malformed event, never a surprise further in. Names of events and actions are an open list.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from chaser.runners.event import Event, InstallationEvent, OtherEvent, WorkflowJobEvent

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(3000, 1, 1, tzinfo=UTC)


def _likely(time: datetime | None) -> datetime | None:
    """A year that cannot be meant (0001 is how some say that there is none) is no time, and no reason to lose the job."""
    return time if time is not None and _EARLIEST <= time < _LATEST else None


_Id = Annotated[int, Field(ge=1, lt=1 << 63)]
_Number = Annotated[int, Field(ge=0, lt=1 << 63)]
_Count = Annotated[int, Field(ge=1, lt=1 << 31)]
_Time = Annotated[AwareDatetime | None, AfterValidator(_likely)]
_Text = Annotated[str, Field(max_length=1024, pattern=r"^[^\x00]*$")]
_Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
_Url = Annotated[str, Field(max_length=2048, pattern=r"^[^\x00]*$")]
_Login = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
_Label = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
_FullName = Annotated[
    str,
    Field(
        max_length=201,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*/(\.?[A-Za-z0-9_-]|\.\.[A-Za-z0-9._-])[A-Za-z0-9._-]*$",
    ),
]
"""`owner/name`, which becomes part of a path: so neither name may be `.` or `..`."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Installation(_Part):
    id: _Id


class _Account(_Part):
    """An enterprise has a slug, and no login."""

    login: _Login | None = None
    slug: _Login | None = None
    type: _Word | None = None


class _WholeInstallation(_Installation):
    account: _Account | None = None
    target_type: _Word | None = None
    repository_selection: _Word | None = None
    suspended_at: _Time | int = None
    updated_at: _Time | int = None
    # In some of GitHub's examples an installation's times are seconds since 1970.


class _Repository(_Part):
    full_name: _FullName
    private: bool = False


class _Organization(_Part):
    login: _Login


class _Deployment(_Part):
    updated_at: _Time = None


class _Job(_Part):
    """`runner_id` and `runner_name` are null, 0 or empty where there is no runner."""

    id: _Id
    run_id: _Id
    run_attempt: _Count = 1
    name: _Text
    workflow_name: _Text | None = None
    labels: Annotated[list[_Label], Field(max_length=100)]
    html_url: _Url | None = None
    status: _Word | None = None
    conclusion: _Word | None = None
    created_at: _Time = None
    started_at: _Time = None
    completed_at: _Time = None
    runner_id: _Number | None = None
    runner_name: _Text | None = None


class _Any(_Part):
    action: _Word | None = None
    installation: _Installation | None = None
    repository: _Repository | None = None


class _WorkflowJob(_Part):
    action: _Word
    workflow_job: _Job
    repository: _Repository
    organization: _Organization | None = None
    installation: _Installation | None = None
    deployment: _Deployment | None = None


class _OfInstallation(_Part):
    action: _Word
    installation: _WholeInstallation
    repository_selection: _Word | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """GitHub says hello when a webhook is made."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Signed, and yet not what GitHub documents. `message` says where and what to do."""

    message: str


def parse(event: str, body: bytes) -> Event | Ping | Malformed:
    """Read a delivery: `event` is the header `X-GitHub-Event`, `body` the raw bytes, of which nothing is believed."""
    try:
        match event:
            case "ping":
                _Any.model_validate_json(body)
                return Ping()
            case "workflow_job":
                return _workflow_job(_WorkflowJob.model_validate_json(body))
            case "installation" | "installation_repositories":
                return _installation(event, _OfInstallation.model_validate_json(body))
            case _:
                return _other(event, _Any.model_validate_json(body))
    except ValidationError as error:
        return Malformed(_faults(event, body, error))


def _workflow_job(read: _WorkflowJob) -> WorkflowJobEvent:
    job = read.workflow_job
    return WorkflowJobEvent(
        action=read.action,
        job_id=job.id,
        run_id=job.run_id,
        name=job.name,
        workflow_name=job.workflow_name,
        labels=tuple(job.labels),
        repository=read.repository.full_name,
        organization=read.organization.login if read.organization else None,
        installation_id=read.installation.id if read.installation else None,
        private=read.repository.private,
        run_attempt=job.run_attempt,
        html_url=job.html_url,
        status=job.status,
        conclusion=job.conclusion,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        gated_at=read.deployment.updated_at if read.deployment else None,
        runner_id=job.runner_id or None,
        runner_name=job.runner_name or None,
    )


def _installation(event: str, read: _OfInstallation) -> InstallationEvent:
    whole = read.installation
    account = whole.account or _Account()
    return InstallationEvent(
        event=event,
        action=read.action,
        installation_id=whole.id,
        account=account.login or account.slug,
        account_type=whole.target_type or account.type,
        selection=read.repository_selection or whole.repository_selection,
        suspended_at=_moment(whole.suspended_at),
        updated_at=_moment(whole.updated_at),
    )


def _moment(given: datetime | int | None) -> datetime | None:
    if not isinstance(given, int):
        return given
    return _EARLIEST + timedelta(seconds=given) if 0 <= given < _LATEST.timestamp() else None


def _other(event: str, read: _Any) -> OtherEvent:
    return OtherEvent(
        event=event,
        action=read.action,
        repository=read.repository.full_name if read.repository else None,
        installation_id=read.installation.id if read.installation else None,
    )


def _faults(event: str, body: bytes, error: ValidationError) -> str:
    if body.startswith(b"payload="):
        return "The body is a form; set the webhook's content type to application/json in the App's settings."
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    places = "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:10]
    )
    return f"The body is not GitHub's payload of {event!r}: {places}"
