"""`sandbox.exec`: one command in a sandbox."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from chaser.errors import FieldFault
from chaser.jobs.job import Job, Secrets, Status, Verdict
from chaser.jobs.kind import Admitted, Bounds, Output, SandboxKind
from chaser.jobs.kinds.sandbox_request import Ground, SandboxRequest, invalid
from chaser.jobs.kinds.sandbox_row import files_of, oom_message, spec_of, stopped_status, timeout_of
from chaser.jobs.kinds.schema import Command, Directory, QueueTime, fits
from chaser.jobs.reason import Reason
from chaser.jobs.row import optional_text, text
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished
from chaser.sandboxes.engine import Image
from chaser.sandboxes.spec import (
    Files,
    Isolation,
    Launch,
    Profile,
    PullPolicy,
    SandboxSpec,
    Step,
    Streams,
)

NAME = "sandbox.exec"
STRICT_UID = "65534"
_HIGHEST_ID = (1 << 31) - 1
_USER = r"^([A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,10}(:[0-9]{1,10})?)$"


def _user(text: str) -> bool:
    numbers = [part for part in text.split(":") if part.isdecimal()]
    return all(int(number) <= _HIGHEST_ID for number in numbers)


class ExecRequest(SandboxRequest):
    """One command, to be run in a sandbox."""

    command: Command
    ephemeral: Annotated[bool, Field(description="A fresh sandbox, of which nothing is kept.")] | None = None
    pull: PullPolicy | None = Field(
        default=None, description="When to pull the image; `missing` if not said."
    )
    queue_timeout_ms: QueueTime | None = Field(default=None, description="How long it may wait for its turn.")
    cwd: Directory | None = Field(
        default=None,
        description="An absolute path; else /workspace, if there is one, or the image's WORKDIR.",
    )
    stdin: str | None = Field(default=None, repr=False, description="Empty if not given.")
    user: Annotated[str, Field(pattern=_USER), fits(_user, f"names an id above {_HIGHEST_ID}")] | None = (
        Field(default=None, description="A name or uid[:gid]; else the image's USER.")
    )
    streams: Streams | None = Field(
        default=None,
        description="`merged` (if not said): stdout and stderr through one pipe, in exact order. `split`: told apart.",
    )


class Exec(SandboxKind[ExecRequest]):
    name = NAME
    description = "Runs one command in a sandbox."
    input = ExecRequest
    output = Output.WHOLE

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        self._profiles = profiles

    def admit(self, asked: ExecRequest, bounds: Bounds) -> Admitted:
        ground = Ground(asked, self._profiles)
        faults = [*ground.faults(), *_faults(asked, ground)]
        if faults:
            raise invalid(faults)
        shown: dict[str, object] = {
            "command": asked.command,
            **ground.shown(bounds),
            "pull": (asked.pull or PullPolicy.MISSING).value,
            "cwd": asked.cwd or ground.cwd,
            "user": asked.user,
            "streams": (asked.streams or Streams.MERGED).value,
        }
        secrets = Secrets(env=asked.env or {}, masked=asked.secrets or {}, stdin=asked.stdin or "")
        waits = asked.queue_timeout_ms
        queue_timeout = None if waits is None else timedelta(milliseconds=waits)
        return ground.admitted(Admitted(shown, secrets, queue_timeout=queue_timeout))

    def spec(self, job: Job) -> SandboxSpec:
        return spec_of(job, self._profiles)

    def files(self, job: Job) -> Files | None:
        return files_of(job, optional_text(job.input, "cwd"))

    async def launch(self, job: Job, image: Image) -> Launch:
        step = Step(
            command=text(job.input, "command"),
            env={**job.secrets.env, **job.secrets.masked},
            stdin=job.secrets.stdin,
            cwd=optional_text(job.input, "cwd"),
        )
        return Launch(
            steps=(step,),
            timeout=timeout_of(job),
            streams=Streams(text(job.input, "streams")),
            masked=job.secrets.masked,
        )

    def verdict(self, job: Job, ending: Ending) -> Verdict:
        match ending:
            case Exited(exit_code=0):
                return Verdict(Status.SUCCEEDED, None, None, {"exit_code": 0})
            case Exited(exit_code=code, oom_kills=kills) if kills > 0:
                return Verdict(
                    Status.FAILED, Reason.OUT_OF_MEMORY, oom_message(job, kills), {"exit_code": code}
                )
            case Exited(exit_code=code):
                message = f"The command ended with exit status {code}; its output says why."
                return Verdict(Status.FAILED, Reason.NONZERO_EXIT, message, {"exit_code": code})
            case Stopped(reason=reason, message=message):
                return Verdict(stopped_status(reason), reason, message, {"exit_code": None})
            case Vanished(message=message):
                return Verdict(Status.FAILED, Reason.HOST_LOST, message, {"exit_code": None})


def _faults(asked: ExecRequest, ground: Ground) -> list[FieldFault]:
    faults: list[FieldFault] = []
    if asked.ephemeral and asked.workspace is not None:
        reason = "does not go with ephemeral: true; for a throwaway copy of it say workspace_mode: copy"
        faults.append(FieldFault("/workspace", reason))
    if asked.user is not None and ground.isolation is Isolation.STRICT:
        reason = f"strict isolation always runs as uid {STRICT_UID}; leave it out"
        faults.append(FieldFault("/user", reason))
    return faults
