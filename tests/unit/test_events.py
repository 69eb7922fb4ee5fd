"""What is read of GitHub's payloads, and what is refused as malformed."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from chaser.runners.event import InstallationEvent, OtherEvent, WorkflowJobEvent
from chaser.simulator.payload import Job, workflow_job
from chaser.webhooks.events import Malformed, Ping, parse

SAMPLES = Path(__file__).parent.parent / "samples" / "github"
AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
QUEUED = (SAMPLES / "workflow_job.queued.json").read_bytes()

INSTALLED = (SAMPLES / "installation.created.json").read_bytes()

Payload = dict[str, object]


def payload() -> Payload:
    return json.loads(QUEUED)


def part(of: Payload, key: str) -> Payload:
    return cast("Payload", of[key])


def changed(path: str, value: object) -> bytes:
    """The sample with one value replaced; `path` is dotted."""
    whole = payload()
    *parents, last = path.split(".")
    inner = whole
    for parent in parents:
        inner = part(inner, parent)
    inner[last] = value
    return json.dumps(whole).encode()


def without(path: str) -> bytes:
    whole = payload()
    *parents, last = path.split(".")
    inner = whole
    for parent in parents:
        inner = part(inner, parent)
    del inner[last]
    return json.dumps(whole).encode()


@pytest.mark.parametrize("name", ["workflow_job.queued.json", "workflow_job.queued.personal.json"])
def test_the_samples_are_what_github_documents(name: str) -> None:
    """Held against githubkit's model of GitHub's own schema."""
    models.WebhookWorkflowJobQueued.model_validate_json((SAMPLES / name).read_bytes())


def test_the_sample_of_a_ping_is_what_github_documents() -> None:
    models.WebhookPing.model_validate_json((SAMPLES / "ping.json").read_bytes())


@pytest.mark.parametrize("organization", [None, "octocat"])
def test_the_simulator_sends_what_github_documents(organization: str | None) -> None:
    sent = json.dumps(workflow_job("queued", Job(("chaser",), organization=organization)))
    models.WebhookWorkflowJobQueued.model_validate_json(sent)


def test_a_queued_job_of_an_organization() -> None:
    assert parse("workflow_job", QUEUED) == WorkflowJobEvent(
        action="queued",
        job_id=29679449526,
        run_id=10562350001,
        name="build (3.12)",
        workflow_name="CI",
        labels=("self-hosted", "linux", "Chaser"),
        repository="octo-org/example",
        organization="octo-org",
        installation_id=51000001,
        private=True,
        run_attempt=1,
        html_url="https://github.com/octo-org/example/actions/runs/10562350001/job/29679449526",
        status="queued",
        conclusion=None,
        created_at=AT,
        started_at=AT,
        completed_at=None,
        gated_at=None,
        runner_id=None,
        runner_name=None,
    )


def test_a_personal_repository_has_no_organization() -> None:
    event = parse("workflow_job", (SAMPLES / "workflow_job.queued.personal.json").read_bytes())
    assert isinstance(event, WorkflowJobEvent)
    assert (event.organization, event.repository) == (None, "octocat/example")


def test_a_job_that_ended_without_a_runner_is_read() -> None:
    event = parse("workflow_job", (SAMPLES / "workflow_job.completed.cancelled.json").read_bytes())
    assert isinstance(event, WorkflowJobEvent)
    assert (event.action, event.conclusion, event.runner_id, event.runner_name) == (
        "completed",
        "cancelled",
        None,
        None,
    )
    assert event.completed_at == AT


def test_a_webhook_that_is_no_apps_has_no_installation() -> None:
    event = parse("workflow_job", without("installation"))
    assert isinstance(event, WorkflowJobEvent)
    assert event.installation_id is None


def test_actions_and_events_are_open_lists() -> None:
    event = parse("workflow_job", changed("action", "teleported"))
    assert isinstance(event, WorkflowJobEvent)
    assert event.action == "teleported"
    installation = parse("installation", INSTALLED.replace(b'"created"', b'"teleported"'))
    assert isinstance(installation, InstallationEvent)
    assert installation.action == "teleported"
    assert parse("tomorrows_event", b'{"new": []}') == OtherEvent("tomorrows_event", None, None, None)


@pytest.mark.parametrize(
    "body",
    [
        (SAMPLES / "ping.json").read_bytes(),
        b"{}",
        b'{"zen": "Approachable is better than simple.", "hook_id": 1, "hook": null}',
        b'{"hook_id": 1, "repository": {"full_name": "octo-org/example"}, "sender": {"login": "octocat"}}',
        b'{"hook_id": 1, "organization": {"login": "octo-org"}, "installation": null}',
    ],
)
def test_a_ping_of_whatever_hook_is_a_ping(body: bytes) -> None:
    assert parse("ping", body) == Ping()


def test_a_ping_as_a_form_is_told_what_to_set() -> None:
    event = parse("ping", b"payload=%7B%7D")
    assert isinstance(event, Malformed)
    assert "application/json" in event.message


def test_a_new_installation_is_read() -> None:
    assert parse("installation", INSTALLED) == InstallationEvent(
        event="installation",
        action="created",
        installation_id=51000001,
        account="octo-org",
        account_type="Organization",
        selection="all",
        suspended_at=None,
        updated_at=AT,
    )


REPOSITORIES: list[Payload] = [
    {"id": 1, "node_id": "R_1", "name": "x", "full_name": "octo-org/x", "private": True}
]
CHANGE: Payload = {"repository_selection": "selected", "repositories_added": [], "repositories_removed": []}


@pytest.mark.parametrize(
    ("model", "action", "more"),
    [
        (models.WebhookInstallationCreated, "created", {}),
        (models.WebhookInstallationDeleted, "deleted", {}),
        (models.WebhookInstallationSuspend, "suspend", {}),
        (models.WebhookInstallationUnsuspend, "unsuspend", {}),
        (models.WebhookInstallationNewPermissionsAccepted, "new_permissions_accepted", {}),
        (models.WebhookInstallationRepositoriesAdded, "added", CHANGE | {"repositories_added": REPOSITORIES}),
        (
            models.WebhookInstallationRepositoriesRemoved,
            "removed",
            CHANGE | {"repositories_removed": REPOSITORIES},
        ),
    ],
)
def test_each_event_of_an_installation_that_github_documents_is_read(
    model: type[BaseModel], action: str, more: Payload
) -> None:
    whole: Payload = json.loads(INSTALLED) | {"action": action} | more
    if "requester" not in model.model_fields or action in {
        "suspend",
        "unsuspend",
        "new_permissions_accepted",
    }:
        del whole["requester"]
    body = json.dumps(whole).encode()
    model.model_validate_json(body)
    event = parse("installation_repositories" if more else "installation", body)
    assert isinstance(event, InstallationEvent)
    assert (event.action, event.selection) == (action, "selected" if more else "all")


NO_RUNNERS: list[Payload] = [
    {"runner_id": None, "runner_name": None, "runner_group_id": None, "runner_group_name": None},
    {"runner_id": 0, "runner_name": "", "runner_group_id": 0, "runner_group_name": ""},
]
RUNNER: Payload = {
    "runner_id": 7,
    "runner_name": "one",
    "runner_group_id": 1,
    "runner_group_name": "Default",
    "started_at": "2026-01-05T09:30:00Z",
}
DONE: Payload = {"status": "completed", "completed_at": "2026-01-05T09:30:00Z"}


@pytest.mark.parametrize(
    ("model", "action", "job"),
    [
        *((models.WebhookWorkflowJobQueued, "queued", none) for none in NO_RUNNERS),
        (models.WebhookWorkflowJobQueued, "queued", {"status": "waiting"}),
        (models.WebhookWorkflowJobQueued, "queued", RUNNER),
        *((models.WebhookWorkflowJobWaiting, "waiting", none | {"status": "waiting"}) for none in NO_RUNNERS),
        (models.WebhookWorkflowJobInProgress, "in_progress", RUNNER | {"status": "in_progress"}),
        (models.WebhookWorkflowJobInProgress, "in_progress", RUNNER | {"status": "queued"}),
        *((models.WebhookWorkflowJobInProgress, "in_progress", none) for none in NO_RUNNERS),
        *(
            (models.WebhookWorkflowJobCompleted, "completed", DONE | runner | {"conclusion": conclusion})
            for runner in (*NO_RUNNERS, RUNNER)
            for conclusion in (
                *("success", "failure", "skipped", "cancelled", "action_required", "neutral", "timed_out"),
            )
        ),
    ],
)
def test_each_event_of_a_job_that_github_documents_is_read(
    model: type[BaseModel], action: str, job: Payload
) -> None:
    whole = payload() | {"action": action}
    part(whole, "workflow_job").update(job)
    body = json.dumps(whole).encode()
    model.model_validate_json(body)
    event = parse("workflow_job", body)
    assert isinstance(event, WorkflowJobEvent)
    assert (event.action, event.conclusion) == (action, job.get("conclusion"))
    assert event.runner_name == ("one" if job.get("runner_name") else None)


@pytest.mark.parametrize(
    ("installation", "expected"),
    [
        ({"id": 5}, (None, None, None, None, None)),
        ({"id": 5, "account": None, "target_type": "User"}, (None, "User", None, None, None)),
        (
            {"id": 5, "account": {"slug": "octo-corp", "id": 1}, "target_type": "Enterprise"},
            ("octo-corp", "Enterprise", None, None, None),
        ),
        (
            {
                "id": 5,
                "account": {"login": "octocat", "type": "User"},
                "suspended_at": "2026-01-05T09:30:00Z",
            },
            ("octocat", "User", None, AT, None),
        ),
        (
            {"id": 5, "updated_at": int(AT.timestamp()), "repository_selection": "selected"},
            (None, None, "selected", None, AT),
        ),
        ({"id": 5, "updated_at": 10**15, "suspended_at": -1}, (None, None, None, None, None)),
    ],
)
def test_an_installation_is_read_whatever_it_lacks(
    installation: dict[str, object], expected: tuple[object, ...]
) -> None:
    event = parse("installation", json.dumps({"action": "suspend", "installation": installation}).encode())
    assert isinstance(event, InstallationEvent)
    found = (event.account, event.account_type, event.selection, event.suspended_at, event.updated_at)
    assert found == expected


def test_a_change_of_repositories_says_which_may_be_used() -> None:
    body = {
        "action": "removed",
        "installation": {"id": 5, "repository_selection": "all"},
        "repository_selection": "selected",
        "repositories_removed": [{"id": 1, "full_name": "octo-org/example"}],
    }
    event = parse("installation_repositories", json.dumps(body).encode())
    assert isinstance(event, InstallationEvent)
    assert (event.event, event.selection) == ("installation_repositories", "selected")


@pytest.mark.parametrize("name", [None, ""])
@pytest.mark.parametrize("number", [None, 0])
@pytest.mark.parametrize("action", ["queued", "waiting", "in_progress", "completed"])
def test_no_runner_is_said_in_three_ways(action: str, number: int | None, name: str | None) -> None:
    whole = payload() | {"action": action}
    part(whole, "workflow_job").update(runner_id=number, runner_name=name)
    event = parse("workflow_job", json.dumps(whole).encode())
    assert isinstance(event, WorkflowJobEvent)
    assert (event.runner_id, event.runner_name) == (None, None)


def test_a_runner_is_read() -> None:
    whole = payload() | {"action": "in_progress"}
    part(whole, "workflow_job").update(runner_id=7, runner_name="fast one", runner_group_id=1)
    event = parse("workflow_job", json.dumps(whole).encode())
    assert isinstance(event, WorkflowJobEvent)
    assert (event.runner_id, event.runner_name) == (7, "fast one")


@pytest.mark.parametrize("status", ["queued", "waiting", "in_progress", "completed", "pending", "requested"])
@pytest.mark.parametrize("action", ["queued", "waiting", "in_progress", "completed"])
def test_the_status_may_be_another_than_the_action(action: str, status: str) -> None:
    whole = payload() | {"action": action}
    part(whole, "workflow_job")["status"] = status
    event = parse("workflow_job", json.dumps(whole).encode())
    assert isinstance(event, WorkflowJobEvent)
    assert (event.action, event.status) == (action, status)


@pytest.mark.parametrize(
    "conclusion",
    [None, "success", "failure", "cancelled", "skipped", "neutral", "timed_out", "action_required", "new"],
)
def test_every_conclusion_is_read(conclusion: str | None) -> None:
    event = parse("workflow_job", changed("workflow_job.conclusion", conclusion))
    assert isinstance(event, WorkflowJobEvent)
    assert event.conclusion == conclusion


@pytest.mark.parametrize(
    ("deployment", "at"), [(None, None), ({}, None), ({"id": 1, "updated_at": "2026-01-05T09:30:00Z"}, AT)]
)
def test_a_deployment_tells_when_it_changed(deployment: object, at: datetime | None) -> None:
    event = parse("workflow_job", changed("deployment", deployment))
    assert isinstance(event, WorkflowJobEvent)
    assert event.gated_at == at


@pytest.mark.parametrize("path", ["workflow_job.created_at", "workflow_job.started_at"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", None])
def test_a_year_that_cannot_be_meant_is_no_time(path: str, time: str | None) -> None:
    event = parse("workflow_job", changed(path, time))
    assert isinstance(event, WorkflowJobEvent)
    assert getattr(event, path.partition(".")[2]) is None


@pytest.mark.parametrize(
    "path",
    [
        *("organization", "installation", "workflow_job.workflow_name", "workflow_job.run_attempt"),
        *("workflow_job.html_url", "workflow_job.status", "workflow_job.conclusion", "sender"),
        *("workflow_job.created_at", "workflow_job.started_at", "workflow_job.completed_at"),
        *("workflow_job.runner_id", "workflow_job.runner_name", "workflow_job.steps", "repository.private"),
    ],
)
def test_what_may_be_missing_is_not_missed(path: str) -> None:
    assert isinstance(parse("workflow_job", without(path)), WorkflowJobEvent)


def test_a_repository_that_does_not_say_is_public() -> None:
    event = parse("workflow_job", without("repository.private"))
    assert isinstance(event, WorkflowJobEvent)
    assert not event.private


def test_fields_that_github_adds_are_ignored() -> None:
    assert parse("workflow_job", changed("workflow_job.new", {"a": [1]})) == parse("workflow_job", QUEUED)


def test_a_group_without_labels_is_read() -> None:
    event = parse("workflow_job", changed("workflow_job.labels", []))
    assert isinstance(event, WorkflowJobEvent)
    assert event.labels == ()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("workflow_job.id", "29679449526"),
        ("workflow_job.id", True),
        ("workflow_job.id", 1.5),
        ("workflow_job.id", 0),
        ("workflow_job.id", -1),
        ("workflow_job.id", 1 << 63),
        ("workflow_job.id", 10**300),
        ("workflow_job.id", None),
        ("workflow_job.labels", "chaser"),
        ("workflow_job.labels", None),
        ("workflow_job.labels", [1]),
        ("workflow_job.labels", ["chaser\x00"]),
        ("workflow_job.labels", ["x" * 257]),
        ("workflow_job.labels", ["x"] * 101),
        ("workflow_job.labels", ["\ud800"]),
        ("workflow_job.name", "a\x00b"),
        ("workflow_job.name", "\udfff"),
        ("workflow_job.name", "x" * 1025),
        ("workflow_job", []),
        ("workflow_job", None),
        ("action", None),
        ("action", 5),
        ("action", ""),
        ("action", "x" * 65),
        ("repository.full_name", "octo-org"),
        ("repository.full_name", "octo-org/.."),
        ("repository.full_name", "octo-org/."),
        ("repository.full_name", "../example"),
        ("repository.full_name", "octo-org/example/../../x"),
        ("repository.full_name", "octo-org/ex?ample"),
        ("repository.full_name", "octo-org/example\n"),
        ("repository", "octo-org/example"),
        ("organization.login", "octo/org"),
        ("installation.id", "1"),
        ("installation.id", 0),
        ("workflow_job.runner_id", "7"),
        ("workflow_job.runner_id", -1),
        ("workflow_job.runner_id", 1 << 63),
        ("workflow_job.runner_name", 7),
        ("workflow_job.runner_name", "a\x00b"),
        ("workflow_job.run_attempt", 0),
        ("workflow_job.run_attempt", 1 << 31),
        ("workflow_job.status", "in progress"),
        ("workflow_job.conclusion", False),
        ("workflow_job.html_url", "https://github.com/" + "x" * 2048),
        ("workflow_job.created_at", "yesterday"),
        ("workflow_job.created_at", "2026-01-05T09:30:00"),
        ("workflow_job.created_at", 5.5),
        ("workflow_job.completed_at", []),
        ("deployment", "production"),
        ("deployment", {"updated_at": "soon"}),
        ("repository.private", "yes"),
    ],
)
def test_a_wrong_value_is_malformed(path: str, value: object) -> None:
    event = parse("workflow_job", changed(path, value))
    assert isinstance(event, Malformed)
    assert path.partition(".")[0] in event.message or "body" in event.message


@pytest.mark.parametrize("name", ["octo-org/.github", "o/...", "o/_", "octo_emu/a.b-c", "o/..a"])
def test_every_name_that_github_allows_is_read(name: str) -> None:
    assert isinstance(parse("workflow_job", changed("repository.full_name", name)), WorkflowJobEvent)


@pytest.mark.parametrize(
    "path",
    ["action", "workflow_job", "workflow_job.id", "workflow_job.labels", "repository", "workflow_job.run_id"],
)
def test_a_missing_field_is_malformed(path: str) -> None:
    assert isinstance(parse("workflow_job", without(path)), Malformed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"workflow_job"',
        b"\x00",
        b"\xff\xfe{}",
        b'{"action": "\xff"}',
        QUEUED.decode().encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"action": ' + b"9" * 100_000 + b"}",
        QUEUED + b"{}",
    ],
    ids=range(13),
)
@pytest.mark.parametrize("event", ["workflow_job", "installation"])
def test_what_is_no_json_object_is_malformed(event: str, body: bytes) -> None:
    assert isinstance(parse(event, body), Malformed)


def test_a_form_is_told_what_to_set() -> None:
    event = parse("workflow_job", b"payload=%7B%7D")
    assert isinstance(event, Malformed)
    assert "application/json" in event.message


def test_a_message_does_not_repeat_what_was_sent() -> None:
    event = parse("workflow_job", changed("workflow_job.id", "squeamish ossifrage"))
    assert isinstance(event, Malformed)
    assert "ossifrage" not in event.message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    value=_JSON,
    path=st.sampled_from(
        [
            *("workflow_job", "repository", "action", "workflow_job.labels", "installation", "deployment"),
            *("workflow_job.created_at", "workflow_job.runner_id", "workflow_job.run_attempt"),
        ]
    ),
)
def test_whatever_is_sent_is_a_value_never_an_exception(value: object, path: str) -> None:
    parse("workflow_job", changed(path, value))
