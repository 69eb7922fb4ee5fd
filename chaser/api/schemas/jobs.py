"""The routes under /v1/jobs."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from chaser.api.schemas.common import Limit, Moment, Query, Shown
from chaser.jobs.job import Status
from chaser.sandboxes.workspaces import NAME

JOB_ID = r"^job_[0-9a-z]{26}$"
LONGEST_WAIT_MS = 60_000


class LogFormat(StrEnum):
    TEXT = "text"
    NDJSON = "ndjson"


class LogStream(StrEnum):
    OUTPUT = "output"
    STDOUT = "stdout"
    STDERR = "stderr"


class ListQuery(Query):
    status: Status | None = None
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z_.]{0,63}$")] | None = None
    workspace: (
        Annotated[
            str,
            Field(pattern=NAME, description="A workspace's name, or its id."),
        ]
        | None
    ) = None
    limit: Limit = 20
    cursor: Annotated[str, Field(pattern=JOB_ID, description="`next_cursor` of the page before.")] | None = (
        None
    )


class JobQuery(Query):
    wait_ms: Annotated[
        int, Field(ge=0, le=LONGEST_WAIT_MS, description="Wait so long for the job's end before answering.")
    ] = 0


class LogQuery(Query):
    after: Annotated[int, Field(ge=0, le=(1 << 53) - 1, description="Only what follows this `seq`.")] = 0
    stream: LogStream | None = None
    follow: Annotated[bool, Field(description="Go on until the job ends.")] = False
    format: Annotated[LogFormat, Field(description="`text`: the raw bytes. `ndjson`: one frame a line.")] = (
        LogFormat.TEXT
    )


class Because(StrEnum):
    """Why a job waits. The list is open."""

    SCHEDULED = "scheduled"
    BACKOFF = "backoff"
    CAPACITY = "capacity"
    CONCURRENCY_KEY = "concurrency_key"
    WORKSPACE_BUSY = "workspace_busy"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    DISK = "disk"
    HELD = "held"
    PAUSED = "paused"


class Waiting(Shown):
    because: Because
    since: Moment
    position: int | None = Field(default=None, description="How many are ahead of it. Left out of lists.")
    holder: str | None = Field(default=None, description="The job whose end it waits for.")
    until: Moment | None = None
    reason: str | None = Field(default=None, description="Why the last attempt failed, where it did.")
    message: str | None = Field(default=None, description="What can be done about that.")


class JobAnswer(Shown):
    id: str
    kind: str
    status: Status
    reason: str | None
    message: str | None = Field(description="What can be done about the reason.")
    input: dict[str, Any] = Field(description="What was asked for; values of env and secrets are `***`.")
    result: dict[str, Any] | None = Field(description="Once ended. Lists leave out every `output`.")
    attempt: int
    max_attempts: int
    run_at: Moment
    priority: int
    concurrency_key: str | None
    idempotency_key: str | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    next_attempt_at: Moment | None
    waiting: Waiting | None
    workspace_id: str | None
    session_id: str | None
    retry_of: str | None
    links: dict[str, str]


class JobPage(Shown):
    data: list[JobAnswer]
    next_cursor: str | None


class EventAnswer(Shown):
    seq: int
    at: Moment
    attempt: int
    from_status: Status | None
    to_status: Status
    reason: str | None
    message: str | None


class EventList(Shown):
    data: list[EventAnswer]
    next_cursor: None = None


class ChangeAnswer(EventAnswer):
    """A change of any job's state."""

    job_id: str


class FrameLine(Shown):
    """One line of a log as ndjson."""

    seq: int
    attempt: int
    step: int = Field(description="Which of a pipeline's steps printed it, counted from 0.")
    stream: str = Field(description="`output`, `stdout`, `stderr`; `gap` where output is left out.")
    at: Moment
    data: str = Field(description="UTF-8, with replacement; the bytes themselves are in the `text` format.")
    skipped: int | None = Field(default=None, description="In a gap: how many bytes are left out.")
