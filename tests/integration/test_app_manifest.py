"""`app.yml` against the code: the App may do what the code does, hears what it acts on, and nothing more."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from githubkit_schemas.v2026_03_10.models import (  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
    AppPermissions,
)

from chaser.clock import ManualClock
from chaser.errors import Refused
from chaser.github.manifest import LONGEST_NAME, ManifestFlow, app_file
from chaser.github.permissions import EVENT
from chaser.github.registrar import AppRegistrar
from chaser.runners.app import Account, Wanted
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.registration import Owner, Registrar
from chaser.simulator.payload import Job, workflow_job
from chaser.simulator.world import Installation
from chaser.webhooks.endpoint import PATH
from chaser.webhooks.events import parse
from tests.simulated import ORGANIZATION, simulated_github

TEXT = (Path(__file__).parents[2] / "app.yml").read_text()
FILE = app_file()
PERMISSIONS = FILE.permissions(Account.ORGANIZATION)
PERSONAL_PERMISSIONS = FILE.permissions(Account.PERSONAL)
ADDRESS = "https://ci.example"
ORG = Owner(ORGANIZATION, "octo-org/example", "octo-org")
REPO = Owner(ORGANIZATION, "octo-org/example", None)


async def everything(registrar: Registrar, owner: Owner) -> None:
    """All that the service ever asks of GitHub."""
    minted = await registrar.mint(owner, "chaser-a-1", ["chaser"])
    assert await registrar.find(owner, "chaser-a-1") is not None
    await registrar.remove(owner, minted.runner_id)


async def do_all(permissions: Mapping[str, str], owner: Owner) -> None:
    async with simulated_github() as side, side.client() as client:
        side.world.install(Installation(ORGANIZATION, "octo-org", permissions))
        await everything(AppRegistrar(client), owner)


def test_it_asks_for_permissions_that_github_has() -> None:
    known = AppPermissions.model_fields
    assert set(PERSONAL_PERMISSIONS) | set(PERMISSIONS) <= set(known)


def test_an_organizations_app_has_no_power_over_repositories() -> None:
    assert "administration" not in PERMISSIONS
    assert "organization_self_hosted_runners" not in PERSONAL_PERMISSIONS


def test_each_line_that_asks_for_something_has_its_reason_above_it() -> None:
    lines = TEXT.splitlines()
    asking = [n for n, line in enumerate(lines) if re.match(r"\s+(- \w+|\w+: (read|write))$", line)]
    assert len(asking) == 1 + len({**PERMISSIONS, **PERSONAL_PERMISSIONS})
    assert [lines[n] for n in asking if not lines[n - 1].lstrip().startswith("# ")] == []


async def test_an_organizations_app_may_do_all_that_the_code_does() -> None:
    await do_all(PERMISSIONS, ORG)


async def test_a_personal_accounts_app_may_do_all_that_the_code_does() -> None:
    await do_all(PERSONAL_PERMISSIONS, REPO)


@pytest.mark.parametrize(
    ("permissions", "owner", "name"),
    [(PERMISSIONS, ORG, "organization_self_hosted_runners"), (PERSONAL_PERMISSIONS, REPO, "administration")],
)
async def test_no_write_permission_is_asked_for_in_vain(
    permissions: Mapping[str, str], owner: Owner, name: str
) -> None:
    writing = {permission for permission, level in permissions.items() if level != "read"}
    assert writing == {name}
    with pytest.raises(Refused):
        await do_all({**permissions, name: "read"}, owner)


def test_it_hears_the_events_that_the_code_acts_on() -> None:
    (event,) = FILE.default_events
    assert event == EVENT == "workflow_job"
    sent = json.dumps(workflow_job("queued", Job(("chaser",)))).encode()
    assert isinstance(parse(event, sent), WorkflowJobEvent)
    assert PERMISSIONS["actions"] == "read", "GitHub wants it for this event"


def test_it_points_at_the_path_that_the_service_serves() -> None:
    assert FILE.hook_attributes.url.startswith("https://")
    assert FILE.hook_attributes.url.endswith(PATH)
    assert FILE.hook_attributes.active


def test_its_name_fits_githubs_limit_and_only_its_owner_may_install_it() -> None:
    assert len(FILE.name) <= LONGEST_NAME
    assert FILE.public is False


@pytest.mark.parametrize(
    ("organization", "permissions", "action"),
    [
        ("octo-org", PERMISSIONS, "https://github.com/organizations/octo-org/settings/apps/new?state=word"),
        (None, PERSONAL_PERMISSIONS, "https://github.com/settings/apps/new?state=word"),
    ],
)
def test_what_the_browser_takes_to_github(
    organization: str | None, permissions: Mapping[str, str], action: str
) -> None:
    wanted = Wanted("chaser-ci", organization, ADDRESS, "http://here/callback", "http://here/setup")
    made = ManifestFlow(ManualClock(), PATH).manifest(wanted, "word")
    assert made.action == action
    assert json.loads(made.manifest) == {
        "name": "chaser-ci",
        "url": ADDRESS,
        "description": FILE.description,
        "public": False,
        "hook_attributes": {"url": f"{ADDRESS}{PATH}", "active": True},
        "redirect_url": "http://here/callback",
        "setup_url": "http://here/setup",
        "default_events": ["workflow_job"],
        "default_permissions": dict(permissions),
    }


def test_an_enterprise_server_has_its_own_page_for_it() -> None:
    flow = ManifestFlow(ManualClock(), PATH, api_url="https://ghes.example/api/v3")
    made = flow.manifest(Wanted("chaser", None, ADDRESS, "http://here/callback", "http://here/setup"), "word")
    assert made.action == "https://ghes.example/settings/apps/new?state=word"
