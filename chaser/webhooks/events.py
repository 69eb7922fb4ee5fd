"""GitHub's payloads, read once into the fleet's own types.

Only the fields that we use are looked at, and these strictly: a wrong type, a NUL or a number that no database holds
is a malformed event, never a surprise further in. Names of events and actions are an open list.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chaser.runners.event import Event, OtherEvent, WorkflowJobEvent

_Id = Annotated[int, Field(ge=1, lt=1 << 63)]
_Text = Annotated[str, Field(max_length=1024, pattern=r"^[^\x00]*$")]
_Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
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


class _Repository(_Part):
    full_name: _FullName


class _Organization(_Part):
    login: _Login


class _Job(_Part):
    id: _Id
    run_id: _Id
    name: _Text
    workflow_name: _Text | None = None
    labels: Annotated[list[_Label], Field(max_length=100)]


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
                return Ping()
            case "workflow_job":
                return _workflow_job(_WorkflowJob.model_validate_json(body))
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
    )


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
