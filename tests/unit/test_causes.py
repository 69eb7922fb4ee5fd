"""Why a runner is there no more, read off how its sandbox ended."""

import pytest

from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.runners.causes import DEPRECATED, cause
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished

KILLED, TERMINATED = 137, 143


@pytest.mark.parametrize(
    ("ending", "reason", "words"),
    [
        (Exited(KILLED, oom_kills=1), Reason.OUT_OF_MEMORY, "killed a process of the workflow job"),
        (Exited(1, oom_kills=3), Reason.OUT_OF_MEMORY, "killed 3 processes"),
        (Exited(KILLED), Reason.RUNNER_KILLED, "SIGKILL ended the runner"),
        (Exited(TERMINATED), Reason.RUNNER_KILLED, "SIGTERM ended the runner"),
        (Exited(255), Reason.HOST_LOST, "went away under the runner"),
        (Exited(DEPRECATED), Reason.RUNNER_TOO_OLD, "make image-runner"),
        (Exited(127), Reason.RUNNER_FAILED, "could not be started"),
        (Exited(126), Reason.RUNNER_FAILED, "could not be started"),
        (Exited(2), Reason.RUNNER_FAILED, "exit status 2"),
        (Exited(254), Reason.RUNNER_FAILED, "exit status 254"),
        (Stopped(Reason.RUN_TIMEOUT, "Too long."), Reason.RUN_TIMEOUT, "Too long."),
        (Stopped(Reason.DISK_FULL, "Too much."), Reason.DISK_FULL, "Too much."),
        (Vanished("Removed by somebody."), Reason.HOST_LOST, "Removed by somebody."),
    ],
)
def test_each_death_has_its_reason_and_words_for_a_person(ending: Ending, reason: Reason, words: str) -> None:
    found = cause(ending)
    assert (found.status, found.reason) == (Status.FAILED, reason)
    assert words in (found.message or "")
    assert found.exit_code == (ending.exit_code if isinstance(ending, Exited) else None)


@pytest.mark.parametrize("reason", [Reason.CANCELLED_BY_USER, Reason.CANCELLED_BY_GITHUB, Reason.CLIENT_GONE])
def test_what_was_called_off_is_cancelled(reason: Reason) -> None:
    assert cause(Stopped(reason, "Enough.")).status is Status.CANCELLED


def test_a_runner_that_has_done_its_work_has_nothing_to_say() -> None:
    found = cause(Exited(0))
    assert (found.status, found.reason, found.message, found.exit_code) == (Status.SUCCEEDED, None, None, 0)


def test_one_that_outlived_the_kill_of_a_step_says_so_and_has_done_its_work() -> None:
    found = cause(Exited(0, oom_kills=1))
    assert (found.status, found.reason) == (Status.SUCCEEDED, None)
    assert "memory limit" in (found.message or "")
