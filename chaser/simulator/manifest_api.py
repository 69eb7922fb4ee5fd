"""Making the App from a manifest, and installing it: GitHub's pages for a browser, and the exchange of the code.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

import asyncio
import html
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from chaser.simulator.answers import app_body, not_found, ok
from chaser.simulator.credentials import new_key_pair
from chaser.simulator.installing import Installing
from chaser.simulator.page import page
from chaser.simulator.reading import table, texts
from chaser.simulator.world import App, Installation, World

_CODE_SECONDS = 3600
_LONGEST_NAME = 34


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a code stands for."""

    manifest: Mapping[str, object]
    owner: str
    until: float


class ManifestApi:
    def __init__(self, world: World, installing: Installing) -> None:
        self._world = world
        self._installing = installing
        self._offers: dict[str, _Offer] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/settings/apps/new", self.review, methods=["POST"]),
            Route("/organizations/{owner}/settings/apps/new", self.review, methods=["POST"]),
            Route("/settings/apps", self.create, methods=["POST"]),
            Route("/organizations/{owner}/settings/apps", self.create, methods=["POST"]),
            Route("/app-manifests/{code}/conversions", self.convert, methods=["POST"]),
            Route("/apps/{slug}/installations/new", self.choose, methods=["GET"]),
            Route("/apps/{slug}/installations", self.install, methods=["POST"]),
        ]

    async def review(self, request: Request) -> Response:
        """The page that asks whether this App shall be made."""
        form = await _form(request)
        manifest = _manifest(form)
        if isinstance(manifest, str):
            return page("Cannot make this App", f"<p>{html.escape(manifest)}</p>", 422)
        state = html.escape(request.query_params.get("state", ""))
        action = request.url.path.removesuffix("/new")
        return page(
            "Create GitHub App",
            f"<p>{html.escape(str(manifest['name']))}</p>"
            f'<form method="post" action="{html.escape(action)}">'
            f'<input type="hidden" name="manifest" value="{html.escape(form["manifest"])}">'
            f'<input type="hidden" name="state" value="{state}">'
            "<button>Create GitHub App</button></form>",
        )

    async def create(self, request: Request) -> Response:
        """Yes: the browser goes back to whoever sent it, with a code that is good once, for an hour."""
        form = await _form(request)
        manifest = _manifest(form)
        if isinstance(manifest, str):
            return page("Cannot make this App", f"<p>{html.escape(manifest)}</p>", 422)
        code = secrets.token_hex(20)
        owner = request.path_params.get("owner")
        if owner is not None:
            self._world.kinds.setdefault(owner.lower(), "Organization")
        self._offers[code] = _Offer(
            manifest, owner or self._world.app.owner, time.monotonic() + _CODE_SECONDS
        )
        query = urlencode({"code": code, **({"state": form["state"]} if form.get("state") else {})})
        back = str(manifest["redirect_url"])
        return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{query}", 302)

    async def convert(self, request: Request) -> Response:
        """The App comes to be here, and it is the world's from now on: installed nowhere yet."""
        offer = self._offers.pop(request.path_params["code"], None)
        if offer is None or offer.until < time.monotonic():
            return not_found()
        keys = await asyncio.to_thread(new_key_pair)
        world = self._world
        hook = cast("Mapping[str, object]", offer.manifest.get("hook_attributes") or {})
        name = str(offer.manifest["name"])
        world.app_id, world.public_key = secrets.randbelow(1 << 20) + 1, keys.public
        world.app = App(
            name,
            re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
            offer.owner,
            table(offer.manifest.get("default_permissions")) or {},
            texts(offer.manifest.get("default_events")) or (),
            cast("str | None", offer.manifest.get("setup_url")),
        )
        world.hook.url = str(hook["url"]) if hook.get("active", True) and "url" in hook else None
        world.hook.secret = secrets.token_hex(20)
        world.forget_installations()
        self._installing.ping()
        return ok(
            {
                **app_body(world),
                "client_id": f"Iv23{secrets.token_hex(8)}",
                "client_secret": secrets.token_hex(20),
                "webhook_secret": world.hook.secret,
                "pem": keys.private,
            },
            201,
        )

    async def choose(self, request: Request) -> Response:
        """The page that asks for which account the App shall be installed."""
        if request.path_params["slug"] != self._world.app.slug:
            return not_found()
        owner = html.escape(self._world.app.owner)
        return page(
            f"Install {html.escape(self._world.app.name)}",
            f'<form method="post" action="../installations"><input name="account" value="{owner}">'
            "<button>Install</button></form>",
        )

    async def install(self, request: Request) -> Response:
        account = (await _form(request)).get("account", self._world.app.owner)
        number = self._world.next_installation()
        made = Installation(number, account, dict(self._world.app.permissions or {}))
        self._installing.install(made)
        setup = self._world.app.setup_url
        if setup is None:
            return RedirectResponse(f"/settings/installations/{number}", 302)
        query = urlencode({"installation_id": number, "setup_action": "install"})
        return RedirectResponse(f"{setup}?{query}", 302)


async def _form(request: Request) -> Mapping[str, str]:
    read = parse_qs((await request.body()).decode(errors="replace"))
    return {name: values[0] for name, values in read.items()}


def _manifest(form: Mapping[str, str]) -> Mapping[str, object] | str:
    """The manifest; or what is wrong with it."""
    try:
        read: object = json.loads(form.get("manifest", ""))
    except ValueError:
        return "Invalid GitHub App configuration: the manifest is no JSON"
    if not isinstance(read, dict):
        return "Invalid GitHub App configuration: the manifest is no object"
    manifest = cast("dict[str, object]", read)
    name = manifest.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        return f"Name must be 1 to {_LONGEST_NAME} characters"
    for key in ("url", "redirect_url"):
        if not isinstance(manifest.get(key), str):
            return f"Missing {key}"
    return manifest
