"""`pipeline.run`: commands one after the other, in one sandbox, on one file system."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from chaser.errors import FieldFault
from chaser.jobs.job import Job, Secrets, Status, Verdict
from chaser.jobs.kind import Admitted, Bounds, Output, SandboxKind
from chaser.jobs.kinds.sandbox_request import Ground, SandboxRequest, invalid
from chaser.jobs.kinds.sandbox_row import files_of, oom_message, spec_of, stopped_status, timeout_of
from chaser.jobs.kinds.schema import Command, Directory, Environment, RunTime, Strict
from chaser.jobs.kinds.step_end import StepEnd, StepStatus, step_ends
from chaser.jobs.reason import Reason
from chaser.jobs.row import mappings, optional_integer, optional_text, text
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished
from chaser.sandboxes.engine import Image
from chaser.sandboxes.spec import Files, Launch, Profile, SandboxSpec, Step

NAME = "pipeline.run"
MOST_STEPS = 100
_LINE = r"^[^\x00-\x1f\x7f-\x9f]+$"


class StepRequest(Strict):
    """One step. The first that fails ends the pipeline; those behind it are skipped."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=_LINE)] | None = Field(
        default=None, description="`step 1`, `step 2` and so on, if not said."
    )
    command: Command
    timeout_ms: RunTime | None = Field(
        default=None, description="How long this step may take; as long as the pipeline, if not said."
    )
    env: Environment | None = Field(
        default=None, repr=False, description="For this step, over the pipeline's."
    )
    cwd: Directory | None = Field(
        default=None,
        description="An absolute path; else /workspace, if there is one, or the image's WORKDIR.",
    )
    continue_on_error: bool | None = Field(
        default=None, description="Its failure ends nothing, and is not the pipeline's."
    )


class PipelineRequest(SandboxRequest):
    """Commands, to be run one after the other in one sandbox."""

    steps: Annotated[list[StepRequest], Field(min_length=1, max_length=MOST_STEPS)]


class Pipeline(SandboxKind[PipelineRequest]):
    name = NAME
    description = "Runs commands one after the other, in one sandbox and on one file system."
    input = PipelineRequest
    output = Output.STEPS

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        self._profiles = profiles

    def admit(self, asked: PipelineRequest, bounds: Bounds) -> Admitted:
        ground = Ground(asked, self._profiles)
        faults = [*ground.faults(), *_faults(asked)]
        if faults:
            raise invalid(faults)
        steps = [_shown(step, number, ground.cwd) for number, step in enumerate(asked.steps, 1)]
        secrets = Secrets(env=_sealed(asked), masked=asked.secrets or {}, stdin="")
        return ground.admitted(Admitted({**ground.shown(bounds), "steps": steps}, secrets))

    def spec(self, job: Job) -> SandboxSpec:
        return spec_of(job, self._profiles)

    def files(self, job: Job) -> Files | None:
        return files_of(job, None)

    async def launch(self, job: Job, image: Image) -> Launch:
        steps = mappings(job.input, "steps")
        return Launch(
            steps=tuple(_step(row, number, job.secrets) for number, row in enumerate(steps)),
            timeout=timeout_of(job),
            masked=job.secrets.masked,
        )

    def verdict(self, job: Job, ending: Ending) -> Verdict:
        rows = mappings(job.input, "steps")
        ends = step_ends([text(row, "name") for row in rows], ending)
        may_fail = [row["continue_on_error"] is True for row in rows]
        status, reason, message, code = _came_to(job, ending, ends, may_fail)
        return Verdict(status, reason, message, {"exit_code": code, "steps": [each.shown() for each in ends]})


def _faults(asked: PipelineRequest) -> list[FieldFault]:
    named = (asked.secrets or {}).keys()
    clashes = {number: sorted(named & (step.env or {}).keys()) for number, step in enumerate(asked.steps)}
    return [
        FieldFault(f"/steps/{number}/env", f"names what secrets name too: {', '.join(both[:10])}")
        for number, both in clashes.items()
        if both
    ]


def _shown(step: StepRequest, number: int, cwd: str | None) -> dict[str, object]:
    """`number` counts from 1."""
    return {
        "name": step.name or f"step {number}",
        "command": step.command,
        "timeout_ms": step.timeout_ms,
        "env": dict.fromkeys(step.env or {}, "***"),
        "cwd": step.cwd or cwd,
        "continue_on_error": step.continue_on_error is True,
    }


def _sealed(asked: PipelineRequest) -> dict[str, str]:
    """The pipeline's environment and its steps' in one mapping: a step's names begin with its number and a slash,
    which no name of a variable has."""
    of_steps = {
        _of_step(number, name): value
        for number, step in enumerate(asked.steps)
        for name, value in (step.env or {}).items()
    }
    return {**(asked.env or {}), **of_steps}


def _of_step(number: int, name: str) -> str:
    return f"{number}/{name}"


def _step(row: Mapping[str, object], number: int, secrets: Secrets) -> Step:
    timeout_ms, mine = optional_integer(row, "timeout_ms"), _of_step(number, "")
    everywhere = {name: value for name, value in secrets.env.items() if "/" not in name}
    here = {name.removeprefix(mine): value for name, value in secrets.env.items() if name.startswith(mine)}
    return Step(
        command=text(row, "command"),
        env={**everywhere, **here, **secrets.masked},
        cwd=optional_text(row, "cwd"),
        timeout=None if timeout_ms is None else timedelta(milliseconds=timeout_ms),
        may_fail=row["continue_on_error"] is True,
    )


_CameTo = tuple[Status, Reason | None, str | None, int | None]


def _came_to(job: Job, ending: Ending, ends: Sequence[StepEnd], may_fail: Sequence[bool]) -> _CameTo:
    """Status, reason, message and exit status of the whole."""
    last = max((at for at, end in enumerate(ends) if end.status is not StepStatus.SKIPPED), default=None)
    match ending:
        case Exited():
            return _by_itself(job, ends, may_fail)
        case Stopped(reason=reason, message=message):
            return stopped_status(reason), reason, _told(ends, last, message), None
        case Vanished(message=message):
            return Status.FAILED, Reason.HOST_LOST, _told(ends, last, message), None


def _by_itself(job: Job, ends: Sequence[StepEnd], may_fail: Sequence[bool]) -> _CameTo:
    failing = (
        end
        for end, forgiven in zip(ends, may_fail, strict=True)
        if end.status is StepStatus.FAILED and not forgiven
    )
    first = next(failing, None)
    if first is None:
        return Status.SUCCEEDED, None, None, 0
    return Status.FAILED, first.reason, f"Step {first.name!r}: {_why(job, first)}", first.exit_code


def _why(job: Job, end: StepEnd) -> str:
    if end.reason is Reason.OUT_OF_MEMORY:
        return oom_message(job, end.oom_kills)
    if end.reason is Reason.RUN_TIMEOUT:
        return "it ran longer than its timeout_ms and was ended; raise it."
    return f"it ended with exit status {end.exit_code}; its output says why."


def _told(ends: Sequence[StepEnd], last: int | None, message: str) -> str:
    """With the step that was stopped, if one was running."""
    if last is None or ends[last].ended_at is not None:
        return message
    return f"Step {ends[last].name!r}: {message}"
