"""Commands one after the other: one launch, and an end for each step."""

from datetime import timedelta
from typing import Any

import pytest

from chaser.errors import Rejected
from chaser.ids import WorkspaceId
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.kind import Admitted
from chaser.jobs.kinds.pipeline import Pipeline, PipelineRequest
from chaser.jobs.reason import Reason
from chaser.jobs.row import mappings
from chaser.sandboxes.ending import Ending, Exited, StepRun, Stopped, Vanished
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from tests.kinds import BOUNDS, IMAGE, PROFILES, row_of
from tests.rows import START

PIPELINE = Pipeline(PROFILES)
SECOND = timedelta(seconds=1)
THREE: list[dict[str, Any]] = [{"command": "one"}, {"command": "two"}, {"command": "three"}]
FORGIVING: list[dict[str, Any]] = [
    {"command": "one", "continue_on_error": True},
    {"command": "two"},
    {"command": "three", "continue_on_error": True},
]


def admit(**fields: object) -> Admitted:
    request = PipelineRequest.model_validate({"steps": THREE, **fields}, strict=False)
    return PIPELINE.admit(request, BOUNDS)


def job_of(**fields: object) -> Job:
    return row_of("pipeline.run", admit(**fields))


def ran(code: int | None = 0, *, oom_kills: int = 0, timed_out: bool = False) -> StepRun:
    return StepRun(START, None if code is None else START + SECOND, code, oom_kills, timed_out)


def verdict(ending: Ending, **fields: object) -> Verdict:
    return PIPELINE.verdict(job_of(**fields), ending)


def told(found: Verdict) -> list[tuple[object, object, object]]:
    return [(step["status"], step["reason"], step["exit_code"]) for step in mappings(found.result, "steps")]


SUCCEEDED, SKIPPED = ("succeeded", None, 0), ("skipped", None, None)


async def test_all_steps_are_one_launch() -> None:
    job = job_of(
        timeout_ms=9000,
        env={"A": "1", "B": "1"},
        secrets={"TOKEN": "hunter22"},
        steps=[
            {"name": "build", "command": "make", "env": {"B": "2"}, "timeout_ms": 500, "cwd": "/src"},
            {"command": "test", "continue_on_error": True},
        ],
    )
    launch = await PIPELINE.launch(job, IMAGE)
    first, second = launch.steps
    assert (launch.timeout, launch.masked) == (timedelta(seconds=9), {"TOKEN": "hunter22"})
    assert (first.command, first.cwd, first.timeout, first.may_fail) == (
        "make",
        "/src",
        timedelta(seconds=0.5),
        False,
    )
    assert (second.command, second.cwd, second.timeout, second.may_fail) == ("test", None, None, True)
    assert first.env == {"A": "1", "B": "2", "TOKEN": "hunter22"}
    assert second.env == {"A": "1", "B": "1", "TOKEN": "hunter22"}


async def test_the_environment_of_step_1_is_not_step_11s() -> None:
    steps = [{"command": "true", "env": {"N": str(number)}} for number in range(12)]
    launch = await PIPELINE.launch(job_of(steps=steps), IMAGE)
    assert [step.env["N"] for step in launch.steps] == [str(number) for number in range(12)]


def test_nothing_secret_is_in_what_may_be_shown() -> None:
    admitted = admit(
        env={"A": "in-clear"}, secrets={"T": "hunter22"}, steps=[{"command": "x", "env": {"B": "private"}}]
    )
    assert not any(word in repr(admitted) for word in ("in-clear", "hunter22", "private"))
    (step,) = mappings(admitted.input, "steps")
    assert step == {
        "name": "step 1",
        "command": "x",
        "timeout_ms": None,
        "env": {"B": "***"},
        "cwd": None,
        "continue_on_error": False,
    }


async def test_in_a_workspace_every_step_begins_in_it() -> None:
    use = WorkspaceUse(WorkspaceId("wsp_1"), WorkspaceMode.EXCLUSIVE)
    job = row_of("pipeline.run", admit(workspace="w"), use)
    assert {step.cwd for step in (await PIPELINE.launch(job, IMAGE)).steps} == {"/workspace"}
    assert PIPELINE.spec(job).workspace == use


def test_a_step_may_not_name_what_a_secret_names() -> None:
    with pytest.raises(Rejected) as rejected:
        admit(secrets={"A": "x"}, steps=[{"command": "x"}, {"command": "x", "env": {"A": "y"}}])
    assert [fault.pointer for fault in rejected.value.fields] == ["/steps/1/env"]


def test_all_steps_done_is_success() -> None:
    found = verdict(Exited(0, steps=(ran(), ran(), ran())))
    assert (found.status, found.reason, found.message) == (Status.SUCCEEDED, None, None)
    assert found.result["exit_code"] == 0
    assert told(found) == [SUCCEEDED] * 3


def test_the_first_failing_step_ends_it_and_the_rest_is_skipped() -> None:
    found = verdict(Exited(3, steps=(ran(), ran(3))))
    assert (found.status, found.reason) == (Status.FAILED, Reason.NONZERO_EXIT)
    assert found.message == "Step 'step 2': it ended with exit status 3; its output says why."
    assert found.result["exit_code"] == 3
    assert told(found) == [SUCCEEDED, ("failed", "nonzero_exit", 3), SKIPPED]


def test_a_step_that_may_fail_fails_nothing_else() -> None:
    found = verdict(Exited(1, steps=(ran(9), ran(), ran(1))), steps=FORGIVING)
    assert (found.status, found.result["exit_code"]) == (Status.SUCCEEDED, 0)
    assert told(found) == [("failed", "nonzero_exit", 9), SUCCEEDED, ("failed", "nonzero_exit", 1)]


def test_memory_is_a_steps_own_matter() -> None:
    found = verdict(Exited(137, steps=(ran(oom_kills=1), ran(137, oom_kills=2))))
    assert found.reason is Reason.OUT_OF_MEMORY
    assert "killed 2 of its processes" in str(found.message)
    assert told(found) == [SUCCEEDED, ("failed", "out_of_memory", 137), SKIPPED]


def test_a_step_that_may_fail_may_run_out_of_time() -> None:
    found = verdict(Exited(0, steps=(ran(None, timed_out=True), ran(), ran())), steps=FORGIVING)
    assert found.status is Status.SUCCEEDED
    assert told(found)[0] == ("failed", "run_timeout", None)


def test_a_timeout_is_the_running_steps() -> None:
    found = verdict(Stopped(Reason.RUN_TIMEOUT, "It took too long.", (ran(), ran(None))))
    assert (found.status, found.reason) == (Status.FAILED, Reason.RUN_TIMEOUT)
    assert found.message == "Step 'step 2': It took too long."
    assert found.result["exit_code"] is None
    assert told(found) == [SUCCEEDED, ("failed", "run_timeout", None), SKIPPED]


def test_a_stop_between_two_steps_is_none_of_theirs() -> None:
    found = verdict(Stopped(Reason.RUN_TIMEOUT, "It took too long.", (ran(), ran())))
    assert found.message == "It took too long."
    assert told(found) == [SUCCEEDED, SUCCEEDED, SKIPPED]


def test_a_cancelled_step_says_so() -> None:
    found = verdict(Stopped(Reason.CANCELLED_BY_USER, "Enough.", (ran(None),)))
    assert (found.status, found.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_USER)
    assert told(found) == [("cancelled", "cancelled_by_user", None), SKIPPED, SKIPPED]


@pytest.mark.parametrize("steps", [(), (ran(None),)])
def test_a_lost_sandbox_loses_the_step_that_ran(steps: tuple[StepRun, ...]) -> None:
    found = verdict(Vanished("It is gone.", steps))
    assert (found.status, found.reason) == (Status.FAILED, Reason.HOST_LOST)
    assert told(found) == [("failed", "host_lost", None)] * len(steps) + [SKIPPED] * (3 - len(steps))


def test_steps_have_their_times() -> None:
    found = verdict(Exited(1, steps=(ran(1),)), steps=[{"name": "lint", "command": "x"}])
    assert found.result["steps"] == [
        {
            "name": "lint",
            "status": "failed",
            "reason": "nonzero_exit",
            "exit_code": 1,
            "started_at": "2026-01-01T00:00:00.000Z",
            "finished_at": "2026-01-01T00:00:01.000Z",
            "duration_ms": 1000,
        }
    ]
