"""`/github/setup`: GitHub's manifest flow in a browser, and then a page that turns green.

The page can give the service another App, so it is open only to the browser that came with a one-time link, which
`chaser github setup` prints on the service's machine; docs/decisions/0050-setup-page.md says why.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.findings import Finding
from chaser.runners.access import Access
from chaser.runners.app import App, AppMaker, Apps
from chaser.runners.passes import LIFETIME, Passes, Purpose, digest, new_pass, new_word
from chaser.setup import page
from chaser.setup.wanted import FIELDS, LONGEST_NAME, fields, read, suggested_name

PATH: Final = "/github/setup"
CALLBACK: Final = f"{PATH}/callback"
_COOKIE: Final = "chaser_setup"
_CODE = re.compile(r"[A-Za-z0-9_-]{1,255}")
_LARGEST_FORM = 16 << 10
_NOT_OPEN = (
    "This page opens with a link that is good once and for an hour. "
    "Run `chaser github setup` on the service's machine, and open the link that it prints."
)

_log = structlog.stdlib.get_logger("chaser.setup")


class SetupEndpoint:
    def __init__(
        self,
        access: Access,
        apps: Apps,
        passes: Passes,
        maker: Callable[[], AppMaker],
        clock: Clock,
        *,
        surroundings: Callable[[], Awaitable[Sequence[Finding]]],
        web_url: str,
        public_url: str | None,
    ) -> None:
        """`maker` is called when it is needed. `surroundings` checks what runners need on this machine.

        `web_url` is GitHub's, `public_url` the service's.
        """
        self._access = access
        self._apps = apps
        self._passes = passes
        self._maker = maker
        self._clock = clock
        self._surroundings = surroundings
        self._web_url = web_url
        self._public_url = public_url

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH, self.prepare, methods=["POST"]),
            Route(CALLBACK, self.finish, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        # a HEAD comes from programs that look at links before a person does, and must not use them up
        if "link" in request.query_params and request.method == "GET":
            return await self._open(request)
        if await self._visit(request) is None:
            return self._closed()
        if self._access.connection is None or ("new" in request.query_params and not self._access.given):
            return self._form(request, self._suggested(request), ())
        return self._html(await self._checks())

    async def prepare(self, request: Request) -> Response:
        """The form's answer: the manifest, and the button that takes it to GitHub."""
        visit = await self._visit(request)
        if visit is None:
            return self._closed()
        if self._access.given:
            return self._html(
                page.message("An App is set", "The settings name an App: change it there."), 409
            )
        body = await _body(request)
        if body is None:
            return self._html(page.message("Too large", "This is not the form of this page."), 413)
        here = _origin(request)
        values = fields(body)
        wanted = read(values, redirect_url=f"{here}{CALLBACK}", setup_url=f"{here}{PATH}")
        if isinstance(wanted, tuple):
            return self._form(request, values, wanted, 422)
        state = new_word()
        await self._passes.add(new_pass(state, Purpose.STATE, self._clock.now(), bound_to=visit))
        manifest = self._maker().manifest(wanted, state)
        return self._html(page.confirmation(manifest, urlsplit(self._web_url).netloc))

    async def finish(self, request: Request) -> Response:
        """GitHub sent the browser back: the code is exchanged once, and the App stored, before anything is answered."""
        visit = await self._visit(request)
        if visit is None:
            return self._closed()
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        asked_for = await self._passes.take(digest(state), Purpose.STATE, self._clock.now(), bound_to=visit)
        if not asked_for or _CODE.fullmatch(code) is None:
            text = "This return from GitHub was not asked for, has been used, or is older than an hour. Begin again."
            return self._html(page.message("Not made", text), 403)
        try:
            app = await self._maker().convert(code)
            await self._apps.keep(app)
            await self._access.refresh()
        except (Refused, Unavailable) as error:
            return self._html(page.message("Not made", error.message), 502)
        _log.info(
            "A GitHub App was set up.", action="setup", app_id=app.app_id, slug=app.slug, owner=app.owner
        )
        return RedirectResponse(app.install_page, 303, self._headers())

    async def _open(self, request: Request) -> Response:
        """The link becomes a cookie, and leaves the address."""
        now = self._clock.now()
        link = digest(request.query_params["link"])
        if not await self._passes.take(link, Purpose.LINK, now):
            return self._closed()
        word = new_word()
        await self._passes.add(new_pass(word, Purpose.VISIT, now))
        answer = RedirectResponse(PATH, 303, self._headers())
        answer.set_cookie(
            _COOKIE,
            word,
            max_age=int(LIFETIME.total_seconds()),
            path=PATH,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",  # it must come along when GitHub sends the browser back, and with no form of another site
        )
        return answer

    async def _visit(self, request: Request) -> str | None:
        """The digest of this browser's visit; none if it has none."""
        word = request.cookies.get(_COOKIE)
        if not word:
            return None
        visit = digest(word)
        return visit if await self._passes.valid(visit, Purpose.VISIT, self._clock.now()) else None

    async def _checks(self) -> str:
        connection = self._access.connection
        found = () if connection is None else await connection.inspection.findings(send_ping=True)
        findings = [*found, *await self._surroundings()]
        app = self._access.app
        anew = None if self._access.given else f"{PATH}?new=1"
        return page.checks(findings, install_page=_install_page(app), anew=anew)

    def _suggested(self, request: Request) -> dict[str, str]:
        public_url = self._public_url or _origin(request)
        name = suggested_name(urlsplit(public_url).hostname or "")
        return dict(zip(FIELDS, ("organization", "", name, public_url), strict=True))

    def _form(
        self, request: Request, values: dict[str, str], faults: Sequence[str], status: int = 200
    ) -> Response:
        replaced = None if self._access.app is None else self._access.app.slug
        return self._html(
            page.form(PATH, values, faults, longest_name=LONGEST_NAME, replaced=replaced), status
        )

    def _closed(self) -> Response:
        return self._html(page.message("Not open", _NOT_OPEN), 403)

    def _html(self, text: str, status: int = 200) -> Response:
        return HTMLResponse(text, status, self._headers())

    def _headers(self) -> dict[str, str]:
        github = urlsplit(self._web_url)
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {github.scheme}://{github.netloc}"
        )
        return {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "strict-origin",
            "X-Content-Type-Options": "nosniff",
        }


def _install_page(app: App | None) -> str | None:
    return None if app is None else app.install_page


def _origin(request: Request) -> str:
    """This service's address as the browser has it: GitHub sends it back there, where its cookie is."""
    return f"{request.url.scheme}://{request.url.netloc}"


async def _body(request: Request) -> bytes | None:
    """The whole form; none if it is larger than any form of this page."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            return None
    return bytes(body)
