"""POST /v1/exec: what is answered. What is asked is the kind's own: `chaser.jobs.kinds.exec.ExecRequest`."""

from typing import Literal

from pydantic import Field

from chaser.api.schemas.common import Moment, Shown


class Timings(Shown):
    """What took how long, in milliseconds; null where it did not come so far."""

    queue_ms: int | None = None
    pull_ms: int | None = None
    prepare_ms: int | None = None
    start_ms: int | None = None
    run_ms: int | None = None
    total_ms: int | None = None
    warm: bool = Field(default=False, description="Whether a sandbox was ready before it was asked for.")


class ExecAnswer(Shown):
    """How a run ended. Whatever the command did, this is the answer."""

    id: str
    kind: str
    status: str = Field(description="`succeeded`, `failed` or `cancelled`.")
    reason: str | None = Field(description="Why it did not succeed; an open list.")
    message: str | None = Field(description="What can be done about the reason.")
    exit_code: int | None = Field(
        description="0 to 255 (128 + n for a signal); null if the command did not end by itself."
    )
    output: str | None = Field(
        default=None,
        description="The whole, or its first and last halves with a line between them that says so.",
    )
    output_truncated: bool
    output_bytes: int
    session_id: str | None = Field(description="The sandbox.")
    command: str
    ephemeral: bool
    background: Literal[False] = False
    command_id: None = None
    pid: None = None
    workspace: str | None = Field(description="As it was named; null for a run that has none.")
    workspace_id: str | None
    image: str | None
    image_digest: str | None
    artifacts: list[str] = Field(description="Their paths; the files are at the job's artifacts.")
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    timings: Timings


class StartedEvent(Shown):
    id: str
    kind: str
    status: str
    created_at: Moment


class OutputEvent(Shown):
    seq: int
    stream: str = Field(description="`output`, `stdout`, `stderr`; `gap` where output is left out.")
    data: str
    skipped: int | None = Field(default=None, description="In a gap: how many bytes are left out.")
