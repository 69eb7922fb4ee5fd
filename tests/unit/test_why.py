"""What is said of a workflow job that waits, or was refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chaser.ids import JobId
from chaser.jobs.job import NO_SECRETS, Job, Setback, Status
from chaser.jobs.reason import Reason
from chaser.runners.demand import Clearance, Demand, State
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Decision, Learned
from chaser.runners.why import Circumstances, why

AT = datetime(2026, 1, 1, tzinfo=UTC)
SAID = WorkflowJobEvent(
    action="queued",
    job_id=7,
    run_id=3,
    name="build",
    workflow_name="CI",
    labels=("chaser",),
    repository="octo/example",
    organization="octo",
    installation_id=1,
    html_url="https://github.com/octo/example/actions/runs/3/job/7",
    created_at=AT,
)
NOTHING = Circumstances(None, None, AT + timedelta(seconds=2))


def demand(state: State, **said: Any) -> Demand:  # noqa: ANN401  # the fields of a value object, checked by it
    return Demand(
        state=state,
        said=replace(SAID, **said),
        decision=Decision.ACCEPTED,
        message=None,
        clearance=Clearance.NOT_NEEDED,
        profile="default",
        job_id=JobId("job_1"),
        runners=1,
        taken_by=None,
        seen_at=AT,
        changed_at=AT,
    )


def job(**changes: Any) -> Job:  # noqa: ANN401
    plain = Job(
        id=JobId("job_1"),
        kind="github.runner",
        status=Status.QUEUED,
        reason=None,
        message=None,
        input={},
        secrets=NO_SECRETS,
        result=None,
        attempt=0,
        max_attempts=3,
        priority=0,
        key_id=None,
        idempotency_key=None,
        origin=None,
        worker=None,
        profile="default",
        workspace=None,
        concurrency_key=None,
        retry=None,
        retries=0,
        leash=None,
        retry_of=None,
        sandbox_id=None,
        cancel_requested=None,
        created_at=AT,
        run_at=AT,
        queued_at=AT,
        ready=True,
        queue_until=None,
        started_at=None,
        handed_over_at=None,
        finished_at=None,
    )
    return replace(plain, **changes)


def test_a_refusal_is_what_was_decided() -> None:
    refused = replace(demand(State.REFUSED), message="The label 'chaser-x' names no profile.")
    assert why(refused, NOTHING) == "The label 'chaser-x' names no profile."


def test_a_gate_is_named_with_the_place_to_open_it() -> None:
    sentence = why(demand(State.WAITING), NOTHING)
    assert "approve it at https://github.com/octo/example/actions/runs/3/job/7" in sentence


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (Circumstances(job(), "for a slot, behind 3 others", None), "waits for a slot, behind 3 others"),
        (
            Circumstances(
                job(attempt=1, setback=Setback(Reason.GITHUB_REFUSED, "GitHub says 403.")),
                "for its next try, at noon",
                None,
            ),
            "for its next try, at noon. The last try failed: GitHub says 403.",
        ),
        (Circumstances(job(status=Status.STARTING), None, None), "being prepared"),
        (Circumstances(job(status=Status.RUNNING, handed_over_at=AT), None, None), "yet to be given the job"),
        (
            Circumstances(job(status=Status.FAILED, message="No such image."), None, None),
            "ended as failed: No such image.",
        ),
        (NOTHING, "about to be planned"),
    ],
)
def test_a_runner_that_is_to_come_says_what_it_waits_for(known: Circumstances, said: str) -> None:
    assert said in why(demand(State.PLANNED), known)


def test_a_runner_that_another_job_was_given_is_told_with_the_remedy() -> None:
    taken = replace(demand(State.PLANNED), taken_by=8)
    sentence = why(taken, Circumstances(job(), "for a slot", None))
    assert "the job 8" in sentence
    assert "-run${{ github.run_id }}" in sentence


def test_how_the_runner_before_ended_is_told_while_another_is_owed() -> None:
    waiting = replace(demand(State.PLANNED), setback="It fell over.")
    assert why(waiting, Circumstances(job(), None, None)).endswith(
        "The runner before did not serve it: It fell over."
    )
    done = replace(demand(State.RUNNING), setback="It fell over.")
    assert "fell over" not in why(done, Circumstances(None, None, None))


def test_a_late_delivery_is_githubs_and_said_so() -> None:
    late = Circumstances(None, None, AT + timedelta(seconds=95))
    assert why(demand(State.ONLINE), late).endswith("GitHub told of it 95 s after it was made.")
    for learned, sentence in (
        (Learned.REDELIVERY, "did not arrive; asked for once more, it came 95 s after it was made."),
        (Learned.POLL, "No delivery told of it; it was found at GitHub 95 s after it was made."),
        (Learned.START_UP, "No delivery told of it; it was found at GitHub 95 s after it was made."),
    ):
        assert why(replace(demand(State.ONLINE), learned=learned), late).endswith(sentence)
    assert "told of it" not in why(demand(State.ONLINE), NOTHING)


def test_what_runs_and_what_has_ended_names_the_runner() -> None:
    running = demand(State.RUNNING, runner_name="chaser-a")
    ended = demand(State.DONE, runner_name="chaser-a", conclusion="failure")
    assert why(running, NOTHING) == "It is running on the runner chaser-a."
    assert why(ended, NOTHING) == "It has ended on the runner chaser-a, with the conclusion failure."


def test_a_job_that_runs_is_said_to() -> None:
    running = demand(State.RUNNING, runner_name="chaser-1")
    assert why(running, Circumstances(job(status=Status.RUNNING), None, None)) == (
        "It is running on the runner chaser-1."
    )


def test_a_job_whose_runner_has_died_says_of_what_while_github_still_shows_it_running() -> None:
    dead = job(status=Status.FAILED, reason=Reason.RUNNER_KILLED, message="SIGKILL ended the runner.")
    sentence = why(demand(State.RUNNING, runner_name="chaser-1"), Circumstances(dead, None, None))
    assert "was running on the runner chaser-1, which is there no more (runner_killed)" in sentence
    assert "SIGKILL ended the runner." in sentence
    assert "ten minutes" in sentence


def test_a_job_whose_runner_has_ended_well_waits_for_githubs_word() -> None:
    ended = job(status=Status.SUCCEEDED)
    sentence = why(demand(State.RUNNING, runner_name="chaser-1"), Circumstances(ended, None, None))
    assert "GitHub is about to say" in sentence
    assert "no more" not in sentence


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (job(status=Status.FAILED, reason=Reason.HOST_LOST, message="The engine was lost."), True),
        (job(status=Status.SUCCEEDED, message="The kernel killed a process."), True),
        (job(status=Status.SUCCEEDED), False),
        (job(status=Status.CANCELLED, reason=Reason.CANCELLED_BY_GITHUB, message="Cancelled."), False),
        (job(status=Status.RUNNING), False),
        (None, False),
    ],
)
def test_of_a_job_that_has_ended_the_cause_is_told_where_its_runner_had_not_ended_well(
    ended: Job | None, *, told: bool
) -> None:
    done = demand(State.DONE, conclusion="failure", runner_name="chaser-1")
    sentence = why(done, Circumstances(ended, None, None))
    assert sentence.startswith("It has ended on the runner chaser-1, with the conclusion failure.")
    assert ((ended is not None and ended.message) or "nothing") in sentence if told else "." in sentence
    assert sentence.endswith("conclusion failure.") is not told
