"""The setup page: who may open it, the way to GitHub and back, and what is kept of it."""

import html
import json
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from chaser.clock import ManualClock
from chaser.config import Settings
from chaser.connecting import make_access
from chaser.errors import Refused
from chaser.findings import Finding, failed, ok
from chaser.github.manifest import ManifestFlow
from chaser.runners.access import Access
from chaser.runners.app import App
from chaser.runners.passes import LIFETIME, Purpose, new_pass, new_word
from chaser.runners.registration import Owner, WorkflowJob
from chaser.secret import Secret
from chaser.setup.endpoint import PATH, SetupEndpoint
from chaser.simulator.delivery import ping
from chaser.simulator.serving import serving
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from chaser.webhooks.endpoint import PATH as HOOK
from chaser.webhooks.signature import ChangingSignatures
from tests.scripted_github import ScriptedGitHub, scripted_github
from tests.simulated import app_keys

CONVERSION = "POST /app-manifests/the-code/conversions"
FORM = {
    "account": "organization",
    "organization": "octo-org",
    "name": "chaser-ci",
    "public_url": "https://ci.example/",
}


@dataclass
class Site:
    """The page on its own port, and all that it stands on."""

    url: str
    store: Store
    github: ScriptedGitHub
    access: Access
    signatures: ChangingSignatures
    clock: ManualClock
    browser: httpx.AsyncClient
    around: list[Finding] = field(default_factory=list[Finding])

    async def link(self) -> str:
        word = new_word()
        await self.store.passes.add(new_pass(word, Purpose.LINK, self.clock.now()))
        return f"{self.url}{PATH}?link={word}"

    async def opened(self) -> httpx.Response:
        return await self.browser.get(await self.link(), follow_redirects=True)

    async def state(self, form: dict[str, str] | None = None) -> str:
        """The state that the form's answer sends to GitHub."""
        answer = await self.browser.post(f"{self.url}{PATH}", data=form or FORM)
        assert answer.status_code == 200, answer.text
        return parse_qs(urlsplit(action(answer.text)).query)["state"][0]

    async def back(self, state: str, code: str = "the-code") -> httpx.Response:
        return await self.browser.get(f"{self.url}{PATH}/callback", params={"code": code, "state": state})


def action(text: str) -> str:
    (found,) = re.findall(r'<form method="post" action="([^"]*)"', text)
    return html.unescape(found)


def conversion(github: ScriptedGitHub) -> dict[str, object]:
    return {
        "id": 77,
        "slug": "chaser-ci",
        "owner": {"login": "octo-org", "type": "Organization"},
        "html_url": f"{github.url}/apps/chaser-ci",
        "pem": app_keys().private,
        "webhook_secret": "a secret of GitHub's",
        "client_id": "Iv1",
        "client_secret": "not needed",
    }


@pytest.fixture
async def site(tmp_path: Path, sealing_key: SealingKey, clock: ManualClock) -> AsyncGenerator[Site]:
    async with site_with({}, tmp_path, sealing_key, clock) as site:
        yield site


@pytest.fixture
async def given_site(tmp_path: Path, sealing_key: SealingKey, clock: ManualClock) -> AsyncGenerator[Site]:
    """With an App that the settings name."""
    given = {"CHASER_GITHUB__APP_ID": "5", "CHASER_GITHUB__PRIVATE_KEY": app_keys().private}
    async with site_with(given, tmp_path, sealing_key, clock) as site:
        yield site


@asynccontextmanager
async def site_with(
    environ: dict[str, str], folder: Path, sealing_key: SealingKey, clock: ManualClock
) -> AsyncGenerator[Site]:
    async with scripted_github() as github:
        all_settings = {"CHASER_DATA_DIR": str(folder), "CHASER_GITHUB__API_URL": github.url, **environ}
        settings = Settings.load(all_settings, None)
        store = open_store(settings.database.reveal(), [sealing_key], clock)
        signatures = ChangingSignatures()
        access = make_access(settings, store, signatures.trust)
        around = [ok("docker", "Docker 28")]

        async def surroundings() -> Sequence[Finding]:
            return around

        endpoint = SetupEndpoint(
            access,
            store.apps,
            store.passes,
            partial(ManifestFlow, clock, HOOK, api_url=github.url),
            clock,
            surroundings=surroundings,
            web_url=github.url,
            public_url=None,
        )
        try:
            await access.refresh()
            async with (
                serving(Starlette(routes=endpoint.routes())) as url,
                httpx.AsyncClient() as browser,
            ):
                yield Site(url, store, github, access, signatures, clock, browser, around)
        finally:
            await access.close()
            await store.close()


async def test_the_page_is_closed_to_whoever_has_no_link(site: Site) -> None:
    for answer in (
        await site.browser.get(f"{site.url}{PATH}"),
        await site.browser.get(f"{site.url}{PATH}", params={"link": "guessed"}),
        await site.browser.post(f"{site.url}{PATH}", data=FORM),
        await site.back("a state"),
    ):
        assert answer.status_code == 403
        assert "chaser github setup" in answer.text
    assert site.github.calls == []


async def test_a_link_opens_it_once_and_leaves_the_address(site: Site) -> None:
    link = await site.link()
    answer = await site.browser.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert (await site.browser.get(f"{site.url}{PATH}")).status_code == 200
    async with httpx.AsyncClient() as another:
        assert (await another.get(link)).status_code == 403


async def test_a_link_and_a_visit_end_by_themselves(site: Site) -> None:
    late = await site.link()
    await site.opened()
    site.clock.advance(LIFETIME + timedelta(seconds=1))
    assert (await site.browser.get(late)).status_code == 403
    assert (await site.browser.get(f"{site.url}{PATH}")).status_code == 403


async def test_the_page_needs_nothing_from_elsewhere_and_cannot_be_framed(site: Site) -> None:
    answer = await site.opened()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert f"form-action 'self' {site.github.url}" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text
    assert "src=" not in answer.text


async def test_an_app_is_made_kept_and_used(site: Site) -> None:
    site.github.tell(CONVERSION, conversion(site.github), 201)
    await site.opened()
    answer = await site.browser.post(f"{site.url}{PATH}", data=FORM)
    where = urlsplit(action(answer.text))
    assert f"{where.scheme}://{where.netloc}" == site.github.url
    assert where.path == "/organizations/octo-org/settings/apps/new"
    (manifest,) = re.findall(r'name="manifest" value="([^"]*)"', answer.text)
    sent = json.loads(html.unescape(manifest))
    assert sent["hook_attributes"] == {"url": "https://ci.example/webhooks/github", "active": True}
    assert sent["redirect_url"] == f"{site.url}{PATH}/callback"
    assert sent["setup_url"] == f"{site.url}{PATH}"

    back = await site.back(parse_qs(where.query)["state"][0])

    assert back.status_code == 303
    assert back.headers["location"] == f"{site.github.url}/apps/chaser-ci/installations/new"
    kept = await site.store.apps.get()
    assert kept is not None
    assert (kept.app_id, kept.owner, kept.private_key) == ("77", "octo-org", Secret(app_keys().private))
    assert site.access.app == kept
    assert site.access.registrar() is not None
    assert site.github.calls[-1].authorization == ""


async def test_whoever_made_the_app_can_ask_github_with_it(site: Site) -> None:
    site.github.tell(CONVERSION, conversion(site.github), 201)
    await site.opened()
    await site.back(await site.state())
    connection = site.access.connection
    assert connection is not None
    site.github.install(5, {"actions": "read"})
    job = {"id": 9, "status": "queued", "conclusion": None}
    site.github.tell("GET /repos/octo-org/example/actions/jobs/9", job)
    owner = Owner(5, "octo-org/example", "octo-org")
    assert await connection.workflow_jobs.get(owner, 9) == WorkflowJob("queued", None, None, None)


async def test_nothing_secret_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for chatty in ("httpx", "httpcore"):  # which the service's own logging silences, once it has been set up
        caplog.set_level(logging.DEBUG, chatty)
    site.github.tell(CONVERSION, conversion(site.github), 201)
    await site.opened()
    await site.back(await site.state())
    connection = site.access.connection
    assert connection is not None
    site.github.install(5, {"administration": "write"})
    with pytest.raises(Refused):
        await connection.registrar.mint(Owner(5, "octo-org/example", None), "chaser-a-1", ["chaser"])
    app_key = app_keys().private.splitlines()[1]
    assert "access_tokens" in caplog.text
    for secret in (app_key, "a secret of GitHub's", "not needed", "ghs_scripted", "eyJ"):
        assert secret not in caplog.text


async def test_a_key_that_is_none_is_not_kept(site: Site) -> None:
    site.github.tell(CONVERSION, {**conversion(site.github), "pem": "no key"}, 201)
    await site.opened()
    assert (await site.back(await site.state())).status_code == 502
    assert await site.store.apps.get() is None


async def test_a_program_that_looks_at_links_does_not_use_them_up(site: Site) -> None:
    link = await site.link()
    assert (await site.browser.head(link)).status_code == 403
    assert (await site.browser.get(link)).status_code == 303


async def test_deliveries_signed_with_its_secret_are_genuine_at_once(site: Site) -> None:
    site.github.tell(CONVERSION, conversion(site.github), 201)
    delivery = ping()
    signature = delivery.headers("a secret of GitHub's")["X-Hub-Signature-256"]
    assert not site.signatures.genuine(delivery.body, [signature])
    await site.opened()
    await site.back(await site.state())
    assert site.signatures.genuine(delivery.body, [signature])


async def test_a_personal_account_has_its_own_page_and_permissions(site: Site) -> None:
    await site.opened()
    answer = await site.browser.post(f"{site.url}{PATH}", data={**FORM, "account": "personal"})
    assert urlsplit(action(answer.text)).path == "/settings/apps/new"
    assert "Administration (repository): read and write" in html.unescape(answer.text)


async def test_a_return_is_good_once(site: Site) -> None:
    site.github.tell(CONVERSION, conversion(site.github), 201)
    await site.opened()
    state = await site.state()
    assert (await site.back(state)).status_code == 303
    assert (await site.back(state)).status_code == 403
    assert site.github.count(CONVERSION) == 1


async def test_a_return_that_another_browser_began_is_refused(site: Site) -> None:
    """Else somebody could make the service speak for an App of theirs."""
    await site.opened()
    state = await site.state()
    site.browser.cookies.clear()
    await site.opened()
    assert (await site.back(state)).status_code == 403
    assert site.github.calls == []


@pytest.mark.parametrize("code", ["", "../../user"])
async def test_a_code_stays_a_code(site: Site, code: str) -> None:
    await site.opened()
    assert (await site.back(await site.state(), code)).status_code == 403
    assert site.github.calls == []


async def test_a_late_return_is_refused(site: Site) -> None:
    await site.opened()
    state = await site.state()
    site.clock.advance(LIFETIME)
    assert (await site.back(state)).status_code == 403


@pytest.mark.parametrize(
    ("status", "said"), [(404, "Begin again"), (422, "Begin again"), (502, "GitHub answered 502")]
)
async def test_what_github_refuses_is_told(site: Site, status: int, said: str) -> None:
    site.github.tell(CONVERSION, {"message": "No"}, status)
    await site.opened()
    answer = await site.back(await site.state())
    assert answer.status_code == 502
    assert said in html.unescape(answer.text)
    assert await site.store.apps.get() is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"organization": "octo org"}, "organization's name"),
        ({"organization": ""}, "organization's name"),
        ({"account": "mine"}, "whose jobs"),
        ({"name": ""}, "at most 34"),
        ({"name": "x" * 35}, "at most 34"),
        ({"public_url": "ci.example"}, "must be a URL"),
        ({"public_url": "https://user:word@ci.example"}, "must be a URL"),
        ({"public_url": "https://[ci.example"}, "must be a URL"),
        ({"public_url": "https://ci.example/?a=1"}, "must be a URL"),
    ],
)
async def test_a_form_that_cannot_be_is_shown_again(site: Site, change: dict[str, str], said: str) -> None:
    await site.opened()
    answer = await site.browser.post(f"{site.url}{PATH}", data={**FORM, **change})
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)


async def test_what_is_typed_stays_text(site: Site) -> None:
    await site.opened()
    nasty = '"><script>alert(1)</script>'
    answer = await site.browser.post(f"{site.url}{PATH}", data={**FORM, "organization": nasty, "name": nasty})
    assert "<script" not in answer.text


async def test_a_form_that_is_none_is_not_read_to_its_end(site: Site) -> None:
    await site.opened()
    answer = await site.browser.post(f"{site.url}{PATH}", content=b"x" * 20_000)
    assert answer.status_code == 413


async def test_the_page_turns_green(site: Site) -> None:
    github = site.github
    github.tell(CONVERSION, conversion(github), 201)
    await site.opened()
    await site.back(await site.state())
    before = html.unescape(
        (await site.browser.get(f"{site.url}{PATH}", params={"setup_action": "install"})).text
    )
    assert "Almost there" in before
    assert 'http-equiv="refresh"' in before
    owner = {"login": "octo-org", "type": "Organization"}
    granted = {"actions": "read", "metadata": "read", "organization_self_hosted_runners": "write"}
    app = {"id": 77, "slug": "chaser-ci", "owner": owner, "html_url": f"{github.url}/apps/chaser-ci"}
    github.tell("GET /app", {**app, "permissions": granted, "events": ["workflow_job"]})
    github.tell("GET /app/hook/config", {"url": "https://ci.example/webhooks/github", "content_type": "json"})
    github.tell("GET /app/hook/deliveries", [{"id": 1, "event": "ping", "status": "OK", "status_code": 200}])
    installed = {"id": 5, "account": owner, "permissions": granted, "suspended_at": None}
    github.tell("GET /app/installations", [installed])
    after = html.unescape((await site.browser.get(f"{site.url}{PATH}")).text)
    assert "Connected to GitHub" in after
    assert 'http-equiv="refresh"' not in after
    site.around[:] = [failed("docker", "The engine does not answer", "Start it")]
    assert "Almost there" in (await site.browser.get(f"{site.url}{PATH}")).text


async def test_another_app_can_take_its_place(site: Site) -> None:
    site.github.tell(CONVERSION, conversion(site.github), 201)
    await site.opened()
    await site.back(await site.state())
    text = (await site.browser.get(f"{site.url}{PATH}", params={"new": "1"})).text
    assert "takes the place of" in text
    site.github.answers[CONVERSION] = []
    site.github.tell(CONVERSION, {**conversion(site.github), "id": 78}, 201)
    assert (await site.back(await site.state())).status_code == 303
    kept = await site.store.apps.get()
    assert kept is not None
    assert kept.app_id == "78"


async def test_an_app_of_the_settings_is_not_replaced(given_site: Site) -> None:
    await given_site.opened()
    text = (await given_site.browser.get(f"{given_site.url}{PATH}", params={"new": "1"})).text
    assert "Make another App" not in text
    answer = await given_site.browser.post(f"{given_site.url}{PATH}", data=FORM)
    assert answer.status_code == 409


async def test_another_process_hears_of_the_app(site: Site) -> None:
    app = App(
        "5",
        "other",
        "octo-org",
        "https://x/apps/other",
        Secret(app_keys().private),
        (Secret("s"),),
        site.clock.now(),
    )
    await site.store.apps.keep(app)
    assert site.access.registrar() is None
    await site.access.refresh()
    first = site.access.connection
    assert first is not None
    await site.access.refresh()
    assert site.access.connection is first
