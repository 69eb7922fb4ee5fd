"""The manifest flow in the simulated GitHub: a form, a code that is good once, an App, an installation."""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked

from chaser.simulator import manifest_api
from chaser.simulator.app import GitHub, assemble
from chaser.simulator.credentials import key_pair
from chaser.simulator.world import World
from tests.simulated import app_keys

MANIFEST: Mapping[str, object] = {
    "name": "Chaser of Octo",
    "url": "https://chaser.example.com",
    "redirect_url": "https://chaser.example.com/github/setup/back",
    "setup_url": "https://chaser.example.com/github/setup/installed",
    "hook_attributes": {"url": "http://127.0.0.1:9/webhooks/github", "active": True},
    "default_permissions": {"metadata": "read", "organization_self_hosted_runners": "write"},
    "default_events": ["workflow_job"],
}
ORGANIZATION = "/organizations/octo-org/settings/apps/new?state=a%22b"


@pytest.fixture
def github() -> GitHub:
    return assemble(World(1, app_keys().public))


@pytest.fixture
async def http(github: GitHub) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(github.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://simulated") as client:
        yield client


async def made(http: httpx.AsyncClient, where: str = ORGANIZATION) -> Mapping[str, list[str]]:
    """Post the form, press the button, and tell with what the browser is sent back."""
    page = await http.post(where, data={"manifest": json.dumps(MANIFEST)})
    assert page.status_code == 200
    fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page.text)}
    (action,) = re.findall(r'action="([^"]*)"', page.text)
    back = await http.post(action, data=fields)
    assert back.status_code == 302
    assert back.headers["location"].startswith(str(MANIFEST["redirect_url"]))
    return parse_qs(urlsplit(back.headers["location"]).query)


async def test_an_app_is_made_from_its_manifest_once(github: GitHub, http: httpx.AsyncClient) -> None:
    back = await made(http)
    assert back["state"] == ['a"b']
    exchange = f"/app-manifests/{back['code'][0]}/conversions"
    answer = await http.post(exchange)
    assert answer.status_code == 201
    app = models.AppManifestsCodeConversionsPostResponse201.model_validate_json(answer.content)
    assert (app.slug, app.events, app.name) == ("chaser-of-octo", ["workflow_job"], "Chaser of Octo")
    assert isinstance(app.owner, models.SimpleUser)
    assert app.owner.login == "octo-org"
    assert key_pair(app.pem).public == github.world.public_key
    assert (github.world.app_id, github.world.hook.secret) == (app.id, app.webhook_secret)
    assert github.world.hook.url == "http://127.0.0.1:9/webhooks/github"
    assert (await http.post(exchange)).status_code == 404
    assert (await http.post("/app-manifests/nonsense/conversions")).status_code == 404
    await github.post.settled()


async def test_a_code_is_good_for_an_hour(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_api, "_CODE_SECONDS", 0)
    back = await made(http, "/settings/apps/new")
    assert "state" not in back
    assert (await http.post(f"/app-manifests/{back['code'][0]}/conversions")).status_code == 404


async def test_the_app_is_installed_and_the_browser_sent_to_its_set_up(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    await http.post(f"/app-manifests/{(await made(http))['code'][0]}/conversions")
    page = await http.get("/apps/chaser-of-octo/installations/new")
    assert (page.status_code, 'value="octo-org"' in page.text) == (200, True)
    assert (await http.get("/apps/other/installations/new")).status_code == 404
    done = await http.post("/apps/chaser-of-octo/installations", data={"account": "octo-org"})
    assert done.headers["location"] == f"{MANIFEST['setup_url']}?installation_id=1&setup_action=install"
    assert github.world.installations[1].permissions == MANIFEST["default_permissions"]
    await github.post.settled()
    assert sorted(one.sent.event for one in github.post.attempts) == ["installation", "ping"]


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        json.dumps({**MANIFEST, "name": "x" * 35}),
        json.dumps({**MANIFEST, "name": None}),
        json.dumps({**MANIFEST, "redirect_url": None}),
    ],
    ids=range(5),
)
async def test_a_manifest_that_github_does_not_take_is_refused(
    http: httpx.AsyncClient, manifest: str
) -> None:
    for path in ("/settings/apps/new", "/settings/apps"):
        assert (await http.post(path, data={"manifest": manifest})).status_code == 422
