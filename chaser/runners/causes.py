"""Why a runner is there no more, read off how its sandbox ended. Pure.

GitHub learns of most of this ten minutes later, as "lost communication with the server", or never.
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass

from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished

DEPRECATED = 7
"""Its version is no longer served. run.sh tells this one status if it is asked to, and makes 0 of the listener's others.

https://github.com/actions/runner/blob/main/src/Misc/layoutroot/run.sh
"""
_NOT_STARTED = frozenset({126, 127})
"""A shell that cannot start the program."""
_UNKNOWN = 255
"""The engine's word for an end that it has not seen: it was killed, or its machine was. run.sh never says so."""

_CANCELLED = frozenset({Reason.CANCELLED_BY_USER, Reason.CANCELLED_BY_GITHUB, Reason.CLIENT_GONE})


@dataclass(frozen=True, slots=True)
class Cause:
    status: Status
    reason: Reason | None = None
    message: str | None = None
    """What happened, and what can be done, in sentences. Of a runner that has ended well, what was amiss all the same."""
    exit_code: int | None = None


def cause(ending: Ending) -> Cause:
    """The program's exit status is a hint: run.sh turns most of them into 0, whether a job ran or not."""
    match ending:
        case Exited(exit_code=0, oom_kills=0):
            return Cause(Status.SUCCEEDED, exit_code=0)
        case Exited(exit_code=0, oom_kills=kills):
            # Of one process of a step GitHub shows no more than its status, 137.
            return Cause(Status.SUCCEEDED, None, f"{_out_of_memory(kills)} The runner itself went on.", 0)
        case Exited(exit_code=code, oom_kills=kills) if kills > 0:
            return Cause(Status.FAILED, Reason.OUT_OF_MEMORY, _out_of_memory(kills), code)
        case Exited(exit_code=code):
            return _failed(code)
        case Stopped(reason=reason, message=message):
            status = Status.CANCELLED if reason in _CANCELLED else Status.FAILED
            return Cause(status, reason, message)
        case Vanished(message=message):
            return Cause(Status.FAILED, Reason.HOST_LOST, message)


def _failed(code: int) -> Cause:
    if code == _UNKNOWN:
        return Cause(Status.FAILED, Reason.HOST_LOST, _ENGINE_LOST, code)
    if code == DEPRECATED:
        return Cause(Status.FAILED, Reason.RUNNER_TOO_OLD, _TOO_OLD, code)
    if code in _NOT_STARTED:
        return Cause(Status.FAILED, Reason.RUNNER_FAILED, _NO_PROGRAM.format(code), code)
    name = _SIGNALS.get(code - 128)
    if name is not None:
        return Cause(Status.FAILED, Reason.RUNNER_KILLED, _KILLED.format(name), code)
    return Cause(Status.FAILED, Reason.RUNNER_FAILED, _FAILED.format(code), code)


def _out_of_memory(kills: int) -> str:
    whom = "a process" if kills == 1 else f"{kills} processes"
    return (
        f"The kernel killed {whom} of the workflow job at its memory limit; "
        "give the profile more memory, or the label a larger size."
    )


_SIGNALS: Mapping[int, str] = {each.value: each.name for each in signal.Signals}
_FAILED = "The runner program ended with exit status {}; this job's log says why."
_KILLED = (
    "{} ended the runner, and not this service: a `docker kill`, a stop of the engine, "
    "the kernel of a machine that is short of memory, or a step of the workflow."
)
_NO_PROGRAM = (
    "The image's /home/runner/run.sh could not be started (exit status {}); is it an image for runners?"
)
_TOO_OLD = (
    "GitHub no longer serves this version of the runner program; build the image anew (`make image-runner`)."
)
_ENGINE_LOST = (
    "The engine, or its whole machine, went away under the runner; when it was back, the runner had ended."
)
