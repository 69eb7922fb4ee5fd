"""What is read of GitHub's payloads, and what is refused as malformed."""

import json
from pathlib import Path
from typing import cast

import pytest
from githubkit_schemas.v2026_03_10.models import WebhookWorkflowJobQueued  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.event import OtherEvent, WorkflowJobEvent
from chaser.simulator.payload import Job, workflow_job
from chaser.webhooks.events import Malformed, Ping, parse

SAMPLES = Path(__file__).parent.parent / "samples" / "github"
QUEUED = (SAMPLES / "workflow_job.queued.json").read_bytes()

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
    WebhookWorkflowJobQueued.model_validate_json((SAMPLES / name).read_bytes())


@pytest.mark.parametrize("organization", [None, "octocat"])
def test_the_simulator_sends_what_github_documents(organization: str | None) -> None:
    sent = json.dumps(workflow_job("queued", Job(("chaser",), organization=organization)))
    WebhookWorkflowJobQueued.model_validate_json(sent)


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
    )


def test_a_personal_repository_has_no_organization() -> None:
    event = parse("workflow_job", (SAMPLES / "workflow_job.queued.personal.json").read_bytes())
    assert isinstance(event, WorkflowJobEvent)
    assert (event.organization, event.repository) == (None, "octocat/example")


def test_a_job_that_ended_without_a_runner_is_read() -> None:
    event = parse("workflow_job", (SAMPLES / "workflow_job.completed.cancelled.json").read_bytes())
    assert isinstance(event, WorkflowJobEvent)
    assert event.action == "completed"


def test_a_webhook_that_is_no_apps_has_no_installation() -> None:
    event = parse("workflow_job", without("installation"))
    assert isinstance(event, WorkflowJobEvent)
    assert event.installation_id is None


def test_actions_and_events_are_open_lists() -> None:
    event = parse("workflow_job", changed("action", "teleported"))
    assert isinstance(event, WorkflowJobEvent)
    assert event.action == "teleported"
    other = parse("installation", (SAMPLES / "installation.created.json").read_bytes())
    assert other == OtherEvent("installation", "created", None, 51000001)
    assert parse("tomorrows_event", b'{"new": []}') == OtherEvent("tomorrows_event", None, None, None)


def test_a_ping_is_a_ping() -> None:
    assert parse("ping", (SAMPLES / "ping.json").read_bytes()) == Ping()


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
    path=st.sampled_from(["workflow_job", "repository", "action", "workflow_job.labels", "installation"]),
)
def test_whatever_is_sent_is_a_value_never_an_exception(value: object, path: str) -> None:
    parse("workflow_job", changed(path, value))
