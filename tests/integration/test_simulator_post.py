"""Deliveries of the simulated GitHub: sent once, noted, sent again on demand; and lost, doubled, late and out of order."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import httpx
import jwt
import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.app import GitHub, assemble
from chaser.simulator.faults import Mishap
from chaser.simulator.serving import serving
from chaser.simulator.world import Hook, Installation, Patience
from tests.simulated import APP_ID, PERSONAL, app_keys, new_world

SECRET = "it's a secret"


@dataclass
class Side:
    github: GitHub
    http: httpx.AsyncClient
    status: int = 202
    late: float = 0
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])

    async def receive(self, request: Request) -> Response:
        self.received.append((dict(request.headers), await request.body()))
        await asyncio.sleep(self.late)
        return Response("stored", self.status)

    async def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        claims = {"iss": str(APP_ID), "iat": int(time.time()) - 60, "exp": int(time.time()) + 300}
        headers = {"Authorization": f"Bearer {jwt.encode(claims, app_keys().private, algorithm='RS256')}"}
        return await self.http.request(method, path, headers=headers, json=body)

    async def pings(self, *mishaps: Mishap, times: int = 1) -> list[str]:
        """Send this many, and tell the numbers of those that came, in order."""
        self.github.world.mishaps.extend(mishaps)
        for number in range(1, times + 1):
            self.github.post.send("ping", {"number": number})
        await self.github.post.settled()
        return [str(json.loads(body)["number"]) for _, body in self.received]


@pytest.fixture
async def side() -> AsyncGenerator[Side]:
    github = assemble(new_world())
    transport = httpx.ASGITransport(github.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://simulated") as http:
        side = Side(github, http)
        async with serving(Starlette(routes=[Route("/", side.receive, methods=["POST"])])) as url:
            github.world.hook = Hook(f"{url}/", SECRET)
            yield side


async def test_a_delivery_has_githubs_headers_and_both_signatures(side: Side) -> None:
    side.github.installing.ping()
    await side.github.post.settled()
    ((headers, body),) = side.received
    models.WebhookPing.model_validate_json(body)
    assert headers["x-hub-signature-256"] == "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    assert headers["x-hub-signature"] == "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    assert headers["x-github-event"] == "ping"
    assert headers["x-github-hook-installation-target-id"] == str(APP_ID)
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("GitHub-Hookshot/")


async def test_a_webhook_of_the_form_type_gets_a_form(side: Side) -> None:
    side.github.world.hook.content_type = "form"
    side.github.installing.ping()
    await side.github.post.settled()
    ((headers, body),) = side.received
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert body.startswith(b"payload=%7B")


async def test_what_fails_is_noted_and_not_sent_again_by_itself(side: Side) -> None:
    side.status = 503
    await side.pings()
    side.github.world.patience = Patience(answer=0.05)
    side.late = 0.5
    await side.pings()
    side.github.world.hook = Hook("http://127.0.0.1:9/", SECRET)
    await side.pings()
    assert len(side.received) == 2
    listed = await side.call("GET", "/app/hook/deliveries")
    items = [models.HookDeliveryItem.model_validate(item) for item in listed.json()]
    assert [(item.status, item.status_code) for item in items] == [
        ("failed to connect to host", 502),
        ("timed out", 504),
        ("Invalid HTTP Response: 503", 503),
    ]


async def test_a_redelivery_has_the_same_guid_and_another_id(side: Side) -> None:
    side.status = 503
    await side.pings()
    (first,) = (await side.call("GET", "/app/hook/deliveries")).json()
    side.status = 202
    assert (await side.call("POST", f"/app/hook/deliveries/{first['id']}/attempts")).status_code == 202
    await side.github.post.settled()
    second, again = (await side.call("GET", "/app/hook/deliveries")).json()
    assert again["id"] == first["id"] != second["id"]
    assert second["guid"] == first["guid"]
    assert (first["redelivery"], second["redelivery"], second["status"]) == (False, True, "OK")
    (headers, body), (other_headers, other_body) = side.received
    assert headers["x-github-delivery"] == other_headers["x-github-delivery"]
    assert body == other_body


async def test_one_delivery_can_be_read_whole_without_the_secret(side: Side) -> None:
    await side.pings()
    (item,) = (await side.call("GET", "/app/hook/deliveries")).json()
    whole = await side.call("GET", f"/app/hook/deliveries/{item['id']}")
    read = models.HookDelivery.model_validate_json(whole.content)
    assert (read.status, read.response.payload) == ("OK", "stored")
    assert SECRET not in whole.text
    assert (await side.call("GET", "/app/hook/deliveries/99")).status_code == 404
    assert (await side.call("POST", "/app/hook/deliveries/99/attempts")).status_code == 404


async def test_the_log_comes_in_pages_newest_first(side: Side) -> None:
    await side.pings(times=5)
    first = await side.call("GET", "/app/hook/deliveries?per_page=2")
    second = await side.call("GET", first.links["next"]["url"])
    third = await side.call("GET", second.links["next"]["url"])
    pages = [[item["id"] for item in page.json()] for page in (first, second, third)]
    assert pages == [[5, 4], [3, 2], [1]]
    assert "next" not in third.links
    assert (await side.call("GET", "/app/hook/deliveries?cursor=x")).status_code == 422


@pytest.mark.parametrize(
    ("mishap", "came", "noted"),
    [
        (Mishap("lose", "ping"), ["2"], 2),
        (Mishap("vanish", "ping"), ["2"], 1),
        (Mishap("double", "ping"), ["1", "1", "2"], 3),
        (Mishap("delay", "ping", seconds=0.2), ["2", "1"], 2),
        (Mishap("hold", "ping"), ["2", "1"], 2),
        (Mishap("lose", "workflow_job"), ["1", "2"], 2),
        (Mishap("lose", "ping", "queued"), ["1", "2"], 2),
    ],
    ids=["lose", "vanish", "double", "delay", "hold", "of another event", "of another action"],
)
async def test_deliveries_meet_with_mishaps(side: Side, mishap: Mishap, came: list[str], noted: int) -> None:
    """Those that are sent at the same time may overtake each other anyway."""
    received = await side.pings(mishap, times=2)
    assert received == came if mishap.kind in {"delay", "hold"} else sorted(received) == came
    assert len(side.github.post.attempts) == noted


async def test_what_is_held_back_comes_when_it_is_released(side: Side) -> None:
    assert await side.pings(Mishap("hold", "ping")) == []
    side.github.post.release()
    await side.github.post.settled()
    assert len(side.received) == 1


async def test_without_an_address_nothing_is_sent(side: Side) -> None:
    side.github.world.hook.url = None
    assert await side.pings() == []
    assert side.github.post.attempts == []


async def test_the_webhooks_settings_can_be_read_and_changed(side: Side) -> None:
    models.WebhookConfig.model_validate_json((await side.call("GET", "/app/hook/config")).content)
    changed = await side.call("PATCH", "/app/hook/config", {"url": "https://elsewhere", "secret": "new"})
    assert changed.json() == {
        "content_type": "json",
        "insecure_ssl": "0",
        "url": "https://elsewhere",
        "secret": "********",
    }
    assert side.github.world.hook.secret == "new"
    for method, path in (
        ("GET", "config"),
        ("PATCH", "config"),
        ("GET", "deliveries"),
        ("GET", "deliveries/1"),
    ):
        assert (await side.http.request(method, f"/app/hook/{path}")).status_code == 401


async def test_what_owners_do_with_the_app_is_told(side: Side) -> None:
    installing = side.github.installing
    made = Installation(9, "hubot", repositories=frozenset({"hubot/one"}))
    installing.install(made)
    installing.choose(made, frozenset({"hubot/two"}))
    installing.grant(made, {"metadata": "read", "administration": "write"})
    installing.suspend(made, suspended=True)
    installing.suspend(made, suspended=False)
    installing.delete(made)
    await side.github.post.settled()
    expected = [
        ("installation", models.WebhookInstallationCreated),
        ("installation_repositories", models.WebhookInstallationRepositoriesAdded),
        ("installation_repositories", models.WebhookInstallationRepositoriesRemoved),
        ("installation", models.WebhookInstallationNewPermissionsAccepted),
        ("installation", models.WebhookInstallationSuspend),
        ("installation", models.WebhookInstallationUnsuspend),
        ("installation", models.WebhookInstallationDeleted),
    ]
    told = sorted(side.received, key=lambda each: _place(side, each[0]))
    assert [headers["x-github-event"] for headers, _ in told] == [event for event, _ in expected]
    for (_, body), (_, model) in zip(told, expected, strict=True):
        model.model_validate_json(body)


async def test_the_app_may_suspend_and_remove_its_installations(side: Side) -> None:
    one = f"/app/installations/{PERSONAL}"
    assert (await side.call("PUT", f"{one}/suspended")).status_code == 204
    assert (await side.call("POST", f"{one}/access_tokens")).status_code == 403
    assert (await side.call("DELETE", f"{one}/suspended")).status_code == 204
    assert (await side.call("DELETE", one)).status_code == 204
    assert (await side.call("GET", one)).status_code == 404
    await side.github.post.settled()
    actions = sorted(json.loads(body)["action"] for _, body in side.received)
    assert actions == ["deleted", "suspend", "unsuspend"]


def _place(side: Side, headers: dict[str, str]) -> int:
    """In which order it was sent: they travel side by side, and may overtake each other."""
    sent = [one.sent.guid for one in sorted(side.github.post.attempts, key=lambda one: one.id)]
    return sent.index(headers["x-github-delivery"])
