"""What becomes of a delivery."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chaser.ids import JobId
from chaser.jobs.job import NewJob
from chaser.runners.decide import Ruling, decide
from chaser.runners.demand import origin
from chaser.runners.event import OtherEvent, WorkflowJobEvent
from chaser.runners.inbox import Decision, JobNews
from chaser.runners.labels import Grammar
from chaser.runners.policy import Policy
from tests.profiles import named
from tests.workflow_jobs import OURS, installed

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
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
    private=True,
)


def owed(ruling: Ruling) -> NewJob | None:
    assert isinstance(ruling.news, JobNews)
    return ruling.news.new


def test_a_queued_job_of_ours_is_owed_a_runner() -> None:
    ruling = decide("guid-1", EVENT, OURS, JOB, NOW)
    assert ruling.delivery.decision is Decision.ACCEPTED
    assert (ruling.delivery.guid, ruling.delivery.workflow_job_id) == ("guid-1", 77)
    new = owed(ruling)
    assert new is not None
    assert (new.id, new.kind, new.origin) == (
        JOB,
        "github.runner",
        "github/workflow_job/77",
    )
    assert new.queue_until is None
    assert new.input == {
        "installation_id": 5,
        "repository": "octo-org/example",
        "organization": "octo-org",
        "labels": ["Chaser-Large", "linux"],
        "workflow_job_id": 77,
        "workflow_run_id": 7,
        "workflow_name": "CI",
        "job_name": "build",
        "profile": "large",
        "level": "organization",
    }


def test_the_same_job_in_another_delivery_has_the_same_origin() -> None:
    """By which the store knows a runner that is owed already."""
    first = owed(decide("guid-1", EVENT, OURS, JOB, NOW))
    second = owed(decide("guid-2", EVENT, OURS, JobId("job_02"), NOW))
    assert first is not None
    assert second is not None
    assert first.origin == second.origin


def test_each_runner_of_a_job_has_an_origin_of_its_own() -> None:
    assert [origin(77, number) for number in (1, 2, 3)] == [
        "github/workflow_job/77",
        "github/workflow_job/77/2",
        "github/workflow_job/77/3",
    ]


@pytest.mark.parametrize("action", ["waiting", "in_progress", "completed"])
def test_what_happens_to_a_job_of_ours_is_news_that_owe_nothing(action: str) -> None:
    ruling = decide("guid-1", replace(EVENT, action=action), OURS, JOB, NOW)
    assert (ruling.delivery.decision, ruling.delivery.action) == (Decision.ACCEPTED, action)
    assert isinstance(ruling.news, JobNews)
    assert (ruling.news.decision, ruling.news.new) == (Decision.ACCEPTED, None)


def test_that_a_job_is_held_back_is_said_in_the_answer() -> None:
    ruling = decide("guid-1", replace(EVENT, action="waiting"), OURS, JOB, NOW)
    assert "holds the job back" in (ruling.delivery.message or "")


def test_an_unknown_action_is_stored_as_not_ours() -> None:
    ruling = decide("guid-1", replace(EVENT, action="teleported"), OURS, JOB, NOW)
    assert (ruling.delivery.decision, ruling.news) == (Decision.NOT_OURS, None)


@pytest.mark.parametrize("action", ["queued", "waiting", "in_progress", "completed"])
def test_a_job_for_others_is_stored_as_not_ours(action: str) -> None:
    event = replace(EVENT, action=action, labels=("ubuntu-latest",), runner_name="GitHub Actions 12")
    ruling = decide("guid-1", event, OURS, JOB, NOW)
    assert (ruling.delivery.decision, ruling.news) == (Decision.NOT_OURS, None)
    assert ruling.delivery.workflow_job_id == 77


@pytest.mark.parametrize("action", ["in_progress", "completed"])
def test_a_job_for_others_that_a_runner_of_ours_was_given_is_news(action: str) -> None:
    """GitHub goes by the labels alone: `[self-hosted]` is served by any of ours that has that label too."""
    event = replace(EVENT, action=action, labels=("self-hosted",), runner_name="chaser-0123456789ab-01k9-3")
    ruling = decide("guid-1", event, OURS, JOB, NOW)
    assert isinstance(ruling.news, JobNews)
    assert (ruling.news.decision, ruling.news.runner_of) == (Decision.NOT_OURS, "job_01k9")


def test_a_queued_job_has_no_runner_whatever_it_says() -> None:
    """GitHub's own example of a queued job names one."""
    ruling = decide("guid-1", replace(EVENT, runner_name="chaser-0123456789ab-01k9-3"), OURS, JOB, NOW)
    assert isinstance(ruling.news, JobNews)
    assert (ruling.news.runner_of, ruling.news.event.runner_name) == (None, None)


@pytest.mark.parametrize(
    "name", [None, "chaser-ffffffffffff-01k9-3", "chaser-0123456789ab-01k9", "chaser-0123456789ab-../x-1"]
)
def test_a_runner_of_another_name_is_not_ours(name: str | None) -> None:
    event = replace(EVENT, action="in_progress", runner_name=name)
    ruling = decide("guid-1", event, OURS, JOB, NOW)
    assert isinstance(ruling.news, JobNews)
    assert ruling.news.runner_of is None


def test_a_label_that_is_not_understood_is_refused_with_advice() -> None:
    ruling = decide("guid-1", replace(EVENT, labels=("chaser-lagre",)), OURS, JOB, NOW)
    assert (ruling.delivery.decision, owed(ruling)) == (Decision.REFUSED, None)
    assert "chaser-large" in (ruling.delivery.message or "")


def test_a_size_in_the_label_goes_along() -> None:
    new = owed(decide("guid-1", replace(EVENT, labels=("chaser-4cpu-8gb",)), OURS, JOB, NOW))
    assert new is not None
    assert (new.input["cpus"], new.input["memory_bytes"]) == (4, 8 << 30)


def test_a_personal_repository_has_runners_of_its_own() -> None:
    new = owed(decide("guid-1", replace(EVENT, organization=None), OURS, JOB, NOW))
    assert new is not None
    assert new.input["level"] == "repository"


def test_a_public_repository_is_refused_with_the_setting_to_change() -> None:
    ruling = decide("guid-1", replace(EVENT, private=False), OURS, JOB, NOW)
    assert (ruling.delivery.decision, owed(ruling)) == (Decision.REFUSED, None)
    assert "github.public_repositories" in (ruling.delivery.message or "")


def test_a_job_without_an_installation_is_refused_with_advice() -> None:
    """A repository's or an organization's own webhook sent it: no App could register a runner there."""
    ruling = decide("guid-1", replace(EVENT, installation_id=None), OURS, JOB, NOW)
    assert (ruling.delivery.decision, owed(ruling)) == (Decision.REFUSED, None)
    assert "install the GitHub App" in (ruling.delivery.message or "")


def test_a_runner_that_others_could_be_given_is_guarded() -> None:
    allowing = replace(OURS, policy=Policy(("octo-org/*",)))
    ruling = decide("guid-1", replace(EVENT, private=False), allowing, JOB, NOW)
    assert isinstance(ruling.news, JobNews)
    assert (ruling.news.screen, ruling.news.profile) == (True, "large")
    assert "looked at" in (ruling.delivery.message or "")
    new = owed(ruling)
    assert new is not None
    assert new.input["guarded"] is True


def test_what_decides_who_is_served_is_in_the_digest_whatever_the_order_of_sets() -> None:
    profiles = named("default", "large")
    labelled = {**profiles, "large": replace(profiles["large"], runner_labels=frozenset({"a", "b", "c"}))}
    digests = {
        OURS.digest,
        replace(OURS, policy=Policy(("*/*",))).digest,
        replace(OURS, refusal_runners=True).digest,
        replace(OURS, grammar=Grammar(labelled)).digest,
        replace(OURS, grammar=replace(OURS.grammar, prefix="other")).digest,
    }
    assert len(digests) == 5
    assert replace(OURS, grammar=Grammar(dict(reversed([*profiles.items()])))).digest == OURS.digest


def test_an_installation_is_news() -> None:
    event = installed()
    ruling = decide("guid-1", event, OURS, JOB, NOW)
    assert (ruling.delivery.event, ruling.delivery.decision) == ("installation", Decision.ACCEPTED)
    assert (ruling.delivery.installation_id, ruling.delivery.workflow_job_id) == (5, None)
    assert ruling.news is event


def test_any_other_event_is_stored_as_not_ours() -> None:
    ruling = decide("guid-1", OtherEvent("push", None, "octo-org/example", 5), OURS, JOB, NOW)
    assert (ruling.delivery.event, ruling.delivery.decision) == ("push", Decision.NOT_OURS)
    assert (ruling.delivery.installation_id, ruling.delivery.workflow_job_id) == (5, None)
    assert ruling.news is None
