"""What is to become of a runner, by how long things have been so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chaser.jobs.reason import Reason
from chaser.runners.demand import State
from chaser.runners.fates import Patience, Since, fate

NEVER, LONG = timedelta(), timedelta(days=1)
PATIENCE = Patience()
SOON = timedelta(seconds=1)
LISTENING = Since(registered=SOON, listening=SOON)


@pytest.mark.parametrize(
    "serves", [None, State.PLANNED, State.STARTING, State.ONLINE, State.CANCELLED, State.WAITING]
)
@pytest.mark.parametrize(
    ("since", "reason"),
    [
        (Since(registered=PATIENCE.online - SOON), None),
        (Since(registered=PATIENCE.online), Reason.RUNNER_NOT_ONLINE),
        (Since(registered=LONG, listening=PATIENCE.job - SOON), None),
        (Since(registered=LONG, listening=PATIENCE.job), Reason.RUNNER_WITHOUT_JOB),
        (replace(LISTENING, unknown=PATIENCE.sight - SOON), None),
        (replace(LISTENING, unknown=PATIENCE.sight), Reason.RUNNER_UNKNOWN),
        (replace(LISTENING, offline=PATIENCE.sight - SOON), None),
        (replace(LISTENING, offline=PATIENCE.sight), Reason.RUNNER_OFFLINE),
    ],
)
def test_a_runner_without_a_job_is_waited_for_and_no_longer(
    serves: State | None, since: Since, reason: Reason | None
) -> None:
    assert fate(serves, since, PATIENCE) is reason


def test_whatever_lists_show_a_runner_with_a_job_is_left_to_it() -> None:
    worst = Since(registered=LONG, listening=LONG, served=LONG, unknown=LONG, offline=LONG)
    assert fate(State.RUNNING, worst, PATIENCE) is None
    assert fate(State.RUNNING, replace(worst, listening=None), PATIENCE) is None


def test_a_runner_whose_job_has_ended_may_tidy_up_and_then_goes() -> None:
    since = Since(registered=LONG, listening=LONG, unknown=LONG)
    assert fate(State.DONE, replace(since, served=PATIENCE.end - SOON), PATIENCE) is None
    assert fate(State.DONE, replace(since, served=PATIENCE.end), PATIENCE) is Reason.RUNNER_IDLE


def test_how_long_each_is_waited_for_is_what_github_needs() -> None:
    """A runner that is assigned a job has a minute to take it, and GitHub five to find it one."""
    assert timedelta(seconds=60) <= PATIENCE.online <= timedelta(seconds=120)
    assert PATIENCE.job == timedelta(minutes=5, seconds=10)
