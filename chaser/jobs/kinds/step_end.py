"""How each step of a pipeline ended, read off how its launch did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chaser.clock import rfc3339
from chaser.jobs.job import Status
from chaser.jobs.kinds.sandbox_row import stopped_status
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import Ending, Exited, StepRun, Stopped, Vanished


class StepStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The pipeline was over before its turn came."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StepEnd:
    name: str
    status: StepStatus = StepStatus.SKIPPED
    reason: Reason | None = None
    exit_code: int | None = None
    oom_kills: int = 0
    began_at: datetime | None = None
    ended_at: datetime | None = None

    def shown(self) -> dict[str, object]:
        """The entry in the job's result; what the step printed is in the log."""
        begin, end = self.began_at, self.ended_at
        return {
            "name": self.name,
            "status": self.status.value,
            "reason": None if self.reason is None else self.reason.value,
            "exit_code": self.exit_code,
            "started_at": None if begin is None else rfc3339(begin),
            "finished_at": None if end is None else rfc3339(end),
            "duration_ms": None if begin is None or end is None else _milliseconds(end - begin),
        }


def step_ends(names: Sequence[str], ending: Ending) -> Sequence[StepEnd]:
    """One for each name; those that have not begun are `skipped`."""
    began = [
        _end(name, run, ending if run is ending.steps[-1] else None)
        for name, run in zip(names, ending.steps, strict=False)
    ]
    return [*began, *(StepEnd(name) for name in names[len(began) :])]


def _end(name: str, run: StepRun, ending: Ending | None) -> StepEnd:
    """`ending` is the launch's, if this was the last step that began."""
    status, reason, code = _how(run, ending)
    return StepEnd(name, status, reason, code, run.oom_kills, run.began_at, run.ended_at)


def _how(run: StepRun, ending: Ending | None) -> tuple[StepStatus, Reason | None, int | None]:
    match run.exit_code, ending:
        case _ if run.timed_out:
            return StepStatus.FAILED, Reason.RUN_TIMEOUT, run.exit_code
        case None, Exited(exit_code=code, oom_kills=kills):
            return _by_itself(code, kills)
        case None, Stopped(reason=reason):
            stopped = stopped_status(reason)
            status = StepStatus.CANCELLED if stopped is Status.CANCELLED else StepStatus.FAILED
            return status, reason, None
        case None, Vanished() | None:
            return StepStatus.FAILED, Reason.HOST_LOST, None
        case int() as code, _:
            return _by_itself(code, run.oom_kills)


def _by_itself(code: int, oom_kills: int) -> tuple[StepStatus, Reason | None, int | None]:
    if code == 0:
        return StepStatus.SUCCEEDED, None, 0
    reason = Reason.OUT_OF_MEMORY if oom_kills > 0 else Reason.NONZERO_EXIT
    return StepStatus.FAILED, reason, code


def _milliseconds(span: timedelta) -> int:
    return max(0, span // timedelta(milliseconds=1))
