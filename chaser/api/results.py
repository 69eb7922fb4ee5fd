"""The results of ended jobs as clients see them: what the row has, and what the log adds to it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from chaser.api.context import Api
from chaser.api.excerpt import MOST, excerpt, step_excerpt
from chaser.api.schemas.exec import ExecAnswer, Timings
from chaser.jobs.job import Job
from chaser.jobs.kind import Output
from chaser.jobs.kinds.exec import NAME as EXEC
from chaser.jobs.row import mapping, mappings, optional_integer, optional_text, text, texts

Result = Mapping[str, object]


async def exec_answer(api: Api, job: Job) -> ExecAnswer:
    """How an ended run ended, with its output as far as an answer holds it."""
    total = optional_integer(job.result or {}, "output_bytes")
    shown = await excerpt(api.logs, job.id, job.attempt, total)
    return _summary(job).model_copy(
        update={"output": shown.text, "output_truncated": shown.truncated, "output_bytes": shown.total}
    )


async def whole_result(api: Api, job: Job) -> Result | None:
    """Once ended, with its output as far as an answer holds it."""
    if not job.status.ended:
        return None
    if job.kind == EXEC:
        return (await exec_answer(api, job)).model_dump(mode="json")
    kind, result = api.kinds.get(job.kind), job.result or {}
    match kind.output if kind else Output.NONE:
        case Output.NONE:
            return result
        case Output.WHOLE:
            shown = await excerpt(api.logs, job.id, job.attempt, optional_integer(result, "output_bytes"))
            return {**result, "output": shown.text, "output_truncated": shown.truncated}
        case Output.STEPS:
            return {
                **result,
                "steps": [await _with_output(api, job, *each) for each in enumerate(_steps(job))],
            }


def short_result(api: Api, job: Job) -> Result | None:
    """Without what is long."""
    if not job.status.ended:
        return None
    if job.kind == EXEC:
        return _summary(job).model_dump(mode="json", exclude={"output"})
    kind, result = api.kinds.get(job.kind), job.result or {}
    return {**result, "steps": _steps(job)} if kind and kind.output is Output.STEPS else result


def _steps(job: Job) -> list[Mapping[str, object]]:
    """Those of a job that ended before its sandbox had its launch are skipped, one and all."""
    if job.result is not None and "steps" in job.result:
        return mappings(job.result, "steps")
    never = ("reason", "exit_code", "started_at", "finished_at", "duration_ms")
    return [
        {"name": text(step, "name"), "status": "skipped", **dict.fromkeys(never)}
        for step in mappings(job.input, "steps")
    ]


async def _with_output(api: Api, job: Job, number: int, step: Mapping[str, object]) -> Result:
    if step["started_at"] is None:
        return {**step, "output": "", "output_truncated": False}
    shown = await step_excerpt(api.logs, job.id, job.attempt, number)
    return {**step, "output": shown.text, "output_truncated": shown.truncated}


def _summary(job: Job) -> ExecAnswer:
    """The answer without the output."""
    result = job.result or {}
    return ExecAnswer(
        id=job.id,
        kind=job.kind,
        status=job.status.value,
        reason=job.reason,
        message=job.message,
        exit_code=optional_integer(result, "exit_code"),
        output_truncated=(optional_integer(result, "output_bytes") or 0) > MOST,
        output_bytes=optional_integer(result, "output_bytes") or 0,
        session_id=optional_text(result, "session_id") or job.sandbox_id,
        command=text(job.input, "command"),
        ephemeral=job.workspace is None,
        workspace=optional_text(job.input, "workspace"),
        workspace_id=job.workspace.id if job.workspace else None,
        image=optional_text(result, "image") or optional_text(job.input, "image"),
        image_digest=optional_text(result, "image_digest"),
        artifacts=list(texts(result, "artifacts")) if "artifacts" in result else [],
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        timings=_timings(job, result),
    )


def _timings(job: Job, result: Result) -> Timings:
    if "timings" not in result:
        return Timings(total_ms=_milliseconds(job.created_at, job.finished_at))
    measured = mapping(result, "timings")
    return Timings(
        queue_ms=optional_integer(measured, "queue_ms"),
        pull_ms=optional_integer(measured, "pull_ms"),
        prepare_ms=optional_integer(measured, "prepare_ms"),
        start_ms=optional_integer(measured, "start_ms"),
        run_ms=optional_integer(measured, "run_ms"),
        total_ms=optional_integer(measured, "total_ms"),
        warm=measured.get("warm") is True,
    )


def _milliseconds(begin: datetime, end: datetime | None) -> int | None:
    return None if end is None else (end - begin) // timedelta(milliseconds=1)
