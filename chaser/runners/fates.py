"""What is to become of a runner that lives here, by how long things have been so. Pure.

Whatever it is, the registration goes first, and GitHub has the last word: it keeps a registration that is running a job. So
what is decided here may rest on what lags, such as a list of GitHub's.
"""

from dataclasses import dataclass
from datetime import timedelta

from chaser.jobs.reason import Reason
from chaser.runners.demand import State


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each is waited for."""

    online: timedelta = timedelta(minutes=2)
    """For a runner that is registered to listen."""
    job: timedelta = timedelta(minutes=5, seconds=10)
    """For one that listens to be given a job."""
    end: timedelta = timedelta(minutes=1)
    """For one whose job has ended at GitHub to end too."""
    sight: timedelta = timedelta(minutes=2)
    """For one that GitHub does not show, or shows as offline, to be shown again: its lists lag by minutes."""


@dataclass(frozen=True, slots=True)
class Since:
    """For how long each has been so; none: it is not so."""

    registered: timedelta
    listening: timedelta | None = None
    served: timedelta | None = None
    """Since its job has ended at GitHub."""
    unknown: timedelta | None = None
    """GitHub does not show it."""
    offline: timedelta | None = None
    """GitHub shows it as offline, though it has listened."""


REASONS = (
    Reason.RUNNER_NOT_ONLINE,
    Reason.RUNNER_WITHOUT_JOB,
    Reason.RUNNER_UNKNOWN,
    Reason.RUNNER_OFFLINE,
    Reason.RUNNER_IDLE,
)


def fate(serves: State | None, since: Since, patience: Patience) -> Reason | None:
    """Why it is to end; none: it lives on. `serves` is the state of the demand that has it, if one has."""
    match serves:
        case State.RUNNING:
            return None  # whatever lists show: it is GitHub's to say how its job ends
        case State.DONE:
            return Reason.RUNNER_IDLE if _over(since.served, patience.end) else None
        case _:
            return _idle(since, patience)


def _idle(since: Since, patience: Patience) -> Reason | None:
    if since.listening is None and since.registered >= patience.online:
        return Reason.RUNNER_NOT_ONLINE
    if _over(since.listening, patience.job):
        return Reason.RUNNER_WITHOUT_JOB
    if _over(since.unknown, patience.sight):
        return Reason.RUNNER_UNKNOWN
    if _over(since.offline, patience.sight):
        return Reason.RUNNER_OFFLINE
    return None


def _over(span: timedelta | None, limit: timedelta) -> bool:
    return span is not None and span >= limit
