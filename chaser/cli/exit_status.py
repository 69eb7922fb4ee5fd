"""The program's exit status: the command's own where it ended by itself, else one that says why not."""

from collections.abc import Mapping

from chaser.cli import document

UNAVAILABLE = 125
"""The service cannot be reached, the key is wrong, or it failed."""
REFUSED = 126
"""Refused by policy: what was asked for is not allowed."""
NOT_FOUND = 127
TIMED_OUT = 124
OUT_OF_MEMORY = 137
INTERRUPTED = 130
BROKEN_PIPE = 141

_BY_REASON = {
    "run_timeout": TIMED_OUT,
    "queue_timeout": TIMED_OUT,
    "start_timeout": TIMED_OUT,
    "pull_timeout": TIMED_OUT,
    "out_of_memory": OUT_OF_MEMORY,
    "image_not_found": NOT_FOUND,
    "image_forbidden": REFUSED,
    "cancelled_by_user": INTERRUPTED,
    "client_gone": INTERRUPTED,
}
"""Reasons that clients know; the list is open, and any other is `UNAVAILABLE`."""


def of_result(result: Mapping[str, object]) -> int:
    """The status for a run's result, as `POST /v1/exec` answers it."""
    reason, code = result.get("reason"), result.get("exit_code")
    if reason in (None, "nonzero_exit") and isinstance(code, int):
        return code
    return _BY_REASON.get(str(reason), UNAVAILABLE)


def of_job(job: Mapping[str, object]) -> int:
    """The status for a job that has ended, as `GET /v1/jobs/{id}` answers it."""
    if job.get("status") == "succeeded":
        return 0
    return of_result({"reason": job.get("reason"), "exit_code": command_code(job)})


def command_code(job: Mapping[str, object]) -> int | None:
    """The command's own exit code: of a pipeline that of the step that ended it, or of its last."""
    result = document.table(job.get("result"))
    steps = [document.table(step) for step in document.items(result.get("steps"))]
    run = [step for step in steps if step.get("status") != "skipped"]
    code = result.get("exit_code", run[-1].get("exit_code") if run else None)
    return code if isinstance(code, int) else None


def of_refusal(http_status: int, code: str) -> int:
    """The status for a request that the service answered with an error."""
    if code in _BY_REASON:
        return _BY_REASON[code]
    return REFUSED if http_status in (403, 413, 422) else UNAVAILABLE
