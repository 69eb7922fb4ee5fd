"""What becomes of a delivery."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chaser.ids import JobId
from chaser.runners.decide import decide
from chaser.runners.event import OtherEvent, WorkflowJobEvent
from chaser.runners.inbox import Decision
from chaser.runners.labels import Grammar
from tests.profiles import named

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
GRAMMAR = Grammar(named("default", "large"))
JOB = JobId("job_01")
EVENT = WorkflowJobEvent(
    action="queued",
    job_id=77,
    run_id=7,
    name="build",
    workflow_name="CI",
    labels=("Chaser-Large", "linux"),
    repository="octo-org/example",
    organization="octo-org",
    installation_id=5,
)


def test_a_queued_job_of_ours_is_owed_a_runner() -> None:
    ruling = decide("guid-1", EVENT, GRAMMAR, JOB, NOW)
    assert ruling.delivery.decision is Decision.ACCEPTED
    assert (ruling.delivery.guid, ruling.delivery.workflow_job_id) == ("guid-1", 77)
    assert ruling.new is not None
    assert (ruling.new.id, ruling.new.kind, ruling.new.origin) == (
        JOB,
        "github.runner",
        "github/workflow_job/77",
    )
    assert ruling.new.queue_until is None
    assert ruling.new.input == {
        "installation_id": 5,
        "repository": "octo-org/example",
        "organization": "octo-org",
        "labels": ["Chaser-Large", "linux"],
        "workflow_job_id": 77,
        "workflow_run_id": 7,
        "workflow_name": "CI",
        "job_name": "build",
        "profile": "large",
    }


def test_the_same_job_in_another_delivery_has_the_same_origin() -> None:
    """By which the store knows that the runner is owed already."""
    first = decide("guid-1", EVENT, GRAMMAR, JOB, NOW).new
    second = decide("guid-2", EVENT, GRAMMAR, JobId("job_02"), NOW).new
    assert first is not None
    assert second is not None
    assert first.origin == second.origin


@pytest.mark.parametrize("action", ["waiting", "in_progress", "completed", "teleported"])
def test_only_a_queued_job_is_owed_a_runner(action: str) -> None:
    ruling = decide("guid-1", replace(EVENT, action=action), GRAMMAR, JOB, NOW)
    assert (ruling.delivery.decision, ruling.delivery.action, ruling.new) == (Decision.NOT_OURS, action, None)


def test_a_job_for_others_is_stored_as_not_ours() -> None:
    ruling = decide("guid-1", replace(EVENT, labels=("ubuntu-latest",)), GRAMMAR, JOB, NOW)
    assert (ruling.delivery.decision, ruling.new) == (Decision.NOT_OURS, None)
    assert ruling.delivery.workflow_job_id == 77


def test_a_label_that_is_not_understood_is_refused_with_advice() -> None:
    ruling = decide("guid-1", replace(EVENT, labels=("chaser-lagre",)), GRAMMAR, JOB, NOW)
    assert (ruling.delivery.decision, ruling.new) == (Decision.REFUSED, None)
    assert "chaser-large" in (ruling.delivery.message or "")


def test_a_job_without_an_installation_is_refused_with_advice() -> None:
    """A repository's or an organization's own webhook sent it: no App could register a runner there."""
    ruling = decide("guid-1", replace(EVENT, installation_id=None), GRAMMAR, JOB, NOW)
    assert (ruling.delivery.decision, ruling.new) == (Decision.REFUSED, None)
    assert "install the GitHub App" in (ruling.delivery.message or "")


def test_any_other_event_is_stored_as_not_ours() -> None:
    ruling = decide("guid-1", OtherEvent("installation", "created", None, 5), GRAMMAR, JOB, NOW)
    assert (ruling.delivery.event, ruling.delivery.decision) == ("installation", Decision.NOT_OURS)
    assert (ruling.delivery.installation_id, ruling.delivery.workflow_job_id, ruling.new) == (5, None, None)
