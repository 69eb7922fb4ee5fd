"""Whether the App is set up as it must be, and what is said of it if not."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from chaser.clock import ManualClock
from chaser.findings import Finding, State
from chaser.github.inspection import AppInspection
from chaser.runners.inbox import IntakeMode
from chaser.secret import Secret
from chaser.webhooks.endpoint import PATH
from tests.scripted_github import ScriptedGitHub, scripted_github, signed_by_the_app

ADDRESS = "https://ci.example"
NEEDED = {"actions": "read", "metadata": "read", "organization_self_hosted_runners": "write"}
ORGANIZATION = {"login": "octo-org", "type": "Organization"}
PERSON = {"login": "octocat", "type": "User"}
APP: dict[str, object] = {
    "id": 1234,
    "slug": "chaser-ci",
    "owner": ORGANIZATION,
    "html_url": "https://github.com/apps/chaser-ci",
    "permissions": NEEDED,
    "events": ["workflow_job"],
}
HOOK = {"url": f"{ADDRESS}{PATH}", "content_type": "json", "insecure_ssl": "0", "secret": "********"}
INSTALLED: dict[str, object] = {
    "id": 5,
    "account": ORGANIZATION,
    "permissions": NEEDED,
    "events": [],
    "suspended_at": None,
}
DELIVERIES = "GET /app/hook/deliveries"


def delivered(number: int, event: str, code: int, status: str = "OK") -> dict[str, object]:
    return {"id": number, "event": event, "status": status, "status_code": code}


@pytest.fixture
async def github() -> AsyncGenerator[ScriptedGitHub]:
    async with scripted_github() as github:
        github.tell("GET /app", APP)
        github.tell("GET /app/hook/config", HOOK)
        github.tell(
            DELIVERIES, [delivered(2, "workflow_job", 202), delivered(1, "ping", 401, "Unauthorized")]
        )
        github.tell("GET /app/installations", [INSTALLED])
        yield github


def instead(github: ScriptedGitHub, line: str, body: object, status: int = 200) -> None:
    github.answers[line] = []
    github.tell(line, body, status)


async def look(
    github: ScriptedGitHub,
    public_url: str | None = ADDRESS,
    *,
    send_ping: bool = False,
    intake: IntakeMode = IntakeMode.WEBHOOK,
) -> dict[str, Finding]:
    async with github.client() as client:
        found = await AppInspection(client, PATH, public_url, intake).findings(send_ping=send_ping)
    return {finding.check: finding for finding in found}


async def mend(github: ScriptedGitHub, check: str) -> str:
    """What is to be done about this one check, all others being well."""
    found = await look(github)
    assert [each.check for each in found.values() if each.state is not State.OK] == [check]
    return f"{found[check].message}: {found[check].mend}"


async def test_without_an_open_port_it_matters_only_that_github_lists_its_deliveries(
    github: ScriptedGitHub,
) -> None:
    elsewhere = {"url": "https://nobody.example/hooks", "content_type": "form"}
    instead(github, "GET /app/hook/config", elsewhere)
    instead(github, DELIVERIES, [delivered(2, "workflow_job", 502, "failed to connect to host")])
    found = await look(github, intake=IntakeMode.DELIVERIES)
    assert {each.state for each in found.values()} == {State.OK}
    assert "read from the App's list" in found["webhook"].message

    instead(github, "GET /app/hook/config", {})
    found = await look(github, intake=IntakeMode.DELIVERIES)
    assert found["webhook"].state is State.FAILED
    assert "make it active" in str(found["webhook"].mend)


async def test_all_is_well(github: ScriptedGitHub) -> None:
    found = await look(github)
    names = ["app", "events", "permissions", "webhook", "delivery", "installation octo-org"]
    assert list(found) == names
    assert {each.state for each in found.values()} == {State.OK}
    assert all(signed_by_the_app(call.authorization) for call in github.calls)


async def test_an_app_that_hears_nothing(github: ScriptedGitHub) -> None:
    instead(github, "GET /app", {**APP, "events": []})
    said = await mend(github, "events")
    assert f"{github.url}/organizations/octo-org/settings/apps/chaser-ci/permissions" in said


@pytest.mark.parametrize(
    ("owner", "permissions", "lacking"),
    [
        (ORGANIZATION, {"metadata": "read", "administration": "write"}, "Actions (repository): read-only"),
        (
            ORGANIZATION,
            {"metadata": "read", "actions": "read"},
            "Self-hosted runners (organization): read and write",
        ),
        (PERSON, {"metadata": "read", "actions": "read"}, "Administration (repository): read and write"),
    ],
)
async def test_an_app_that_may_too_little(
    github: ScriptedGitHub, owner: object, permissions: dict[str, str], lacking: str
) -> None:
    instead(github, "GET /app", {**APP, "owner": owner, "permissions": permissions})
    instead(github, "GET /app/installations", [{**INSTALLED, "permissions": permissions}])
    assert lacking in await mend(github, "permissions")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ({**HOOK, "url": "https://other.example/webhooks/github"}, f"Set the webhook URL to {ADDRESS}{PATH}"),
        ({**HOOK, "url": None}, "no address"),
        ({**HOOK, "content_type": "form"}, "application/json"),
    ],
)
async def test_a_webhook_that_is_set_wrongly(
    github: ScriptedGitHub, hook: dict[str, object], said: str
) -> None:
    instead(github, "GET /app/hook/config", hook)
    assert said in await mend(github, "webhook")


async def test_where_the_services_address_is_not_known_the_path_is_looked_at(github: ScriptedGitHub) -> None:
    assert (await look(github, None))["webhook"].state is State.OK
    instead(github, "GET /app/hook/config", {**HOOK, "url": f"{ADDRESS}/"})
    assert "<your service>" in str((await look(github, None))["webhook"].mend)


@pytest.mark.parametrize(
    ("newest", "said"),
    [
        (delivered(3, "workflow_job", 401, "Unauthorized"), "was answered 401: The webhook's secret"),
        (delivered(3, "workflow_job", 502, "Bad gateway"), "was answered 502: GitHub must reach"),
        (delivered(3, "workflow_job", 0, "timed out"), "had no answer: timed out: GitHub must reach"),
    ],
)
async def test_the_newest_delivery_decides(
    github: ScriptedGitHub, newest: dict[str, object], said: str
) -> None:
    instead(github, DELIVERIES, [newest, delivered(2, "workflow_job", 202)])
    assert said in await mend(github, "delivery")


async def test_without_a_delivery_nothing_is_proved(github: ScriptedGitHub) -> None:
    instead(github, DELIVERIES, [])
    found = (await look(github))["delivery"]
    assert (found.state, found.message) == (State.WARNING, "GitHub has sent nothing yet")


async def test_the_first_ping_came_too_early_and_is_sent_again(github: ScriptedGitHub) -> None:
    again = "POST /app/hook/deliveries/1/attempts"
    instead(github, DELIVERIES, [delivered(1, "ping", 401, "Unauthorized")])
    github.tell(again, {}, 202)
    clock = ManualClock()
    async with github.client(clock) as client:
        inspection = AppInspection(client, PATH, ADDRESS)
        await inspection.findings(send_ping=False)
        assert github.count(again) == 0
        found = {each.check: each for each in await inspection.findings(send_ping=True)}
        assert "sent for again" in str(found["delivery"].mend)
        await inspection.findings(send_ping=True)
        assert github.count(again) == 1
        clock.advance(timedelta(seconds=21))
        await inspection.findings(send_ping=True)
        assert github.count(again) == 2
        instead(github, DELIVERIES, [delivered(9, "ping", 200), delivered(1, "ping", 401, "Unauthorized")])
        found = {each.check: each for each in await inspection.findings(send_ping=True)}
        assert found["delivery"].state is State.OK
        assert github.count(again) == 2


@pytest.mark.parametrize(
    ("installations", "check", "said"),
    [
        (list[object](), "installation", "https://github.com/apps/chaser-ci/installations/new"),
        (
            [{**INSTALLED, "suspended_at": "2026-01-01T00:00:00Z"}],
            "installation octo-org",
            "/organizations/octo-org/settings/installations/5",
        ),
        (
            [{**INSTALLED, "permissions": {"actions": "read", "metadata": "read"}}],
            "installation octo-org",
            'has not accepted "Self-hosted runners (organization): read and write"',
        ),
        ([{**INSTALLED, "account": PERSON}], "installation octocat", "Administration (repository)"),
    ],
)
async def test_installations_that_cannot_serve(
    github: ScriptedGitHub, installations: list[object], check: str, said: str
) -> None:
    instead(github, "GET /app/installations", installations)
    assert said in await mend(github, check)


async def test_an_app_that_github_does_not_know(github: ScriptedGitHub) -> None:
    instead(github, "GET /app", {"message": "Integration not found"}, 401)
    found = await look(github)
    assert list(found) == ["app"]
    assert "github.private_key" in str(found["app"].mend)


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("GET /app/hook/config", "webhook"),
        (DELIVERIES, "delivery"),
        ("GET /app/installations", "installation"),
    ],
)
async def test_an_outage_is_one_checks_matter(github: ScriptedGitHub, line: str, check: str) -> None:
    instead(github, line, {"message": "oops"}, 502)
    assert "502" in await mend(github, check)


async def test_the_webhooks_secret_is_changed_at_github(github: ScriptedGitHub) -> None:
    github.tell("PATCH /app/hook/config", HOOK)
    async with github.client() as client:
        await AppInspection(client, PATH, ADDRESS).turn_secret(Secret("the new one"))
    (call,) = [call for call in github.calls if call.line.startswith("PATCH")]
    assert call.body == b'{"secret":"the new one"}'
