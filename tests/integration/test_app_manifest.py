"""`app.yml` against the code: the App may do what the code does, hears what it acts on, and nothing more."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
import yaml
from githubkit_schemas.v2026_03_10.models import (  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
    AppPermissions,
)

from chaser.errors import Refused
from chaser.github.registrar import AppRegistrar
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.registration import Owner, Registrar
from chaser.simulator.payload import Job, workflow_job
from chaser.simulator.world import Installation
from chaser.webhooks.endpoint import PATH
from chaser.webhooks.events import parse
from tests.simulated import ORGANIZATION, simulated_github

TEXT = (Path(__file__).parents[2] / "app.yml").read_text()
MANIFEST = cast("dict[str, object]", yaml.safe_load(TEXT))
PERMISSIONS = cast("dict[str, str]", MANIFEST["default_permissions"])
PERSONAL_PERMISSIONS = {
    **{name: level for name, level in PERMISSIONS.items() if not name.startswith("organization_")},
    "administration": "write",
}
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


def test_the_variant_for_personal_accounts_is_written_in_it() -> None:
    assert re.search(r"^  # administration: write$", TEXT, re.MULTILINE)


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
    (event,) = cast("list[str]", MANIFEST["default_events"])
    assert event == "workflow_job"
    sent = json.dumps(workflow_job("queued", Job(("chaser",)))).encode()
    assert isinstance(parse(event, sent), WorkflowJobEvent)
    assert PERMISSIONS["actions"] == "read", "GitHub wants it for this event"


def test_it_points_at_the_path_that_the_service_serves() -> None:
    url = cast("dict[str, str]", MANIFEST["hook_attributes"])["url"]
    assert url.startswith("https://")
    assert url.endswith(PATH)


def test_its_name_fits_githubs_limit_and_only_its_owner_may_install_it() -> None:
    assert len(str(MANIFEST["name"])) <= 34
    assert MANIFEST["public"] is False
