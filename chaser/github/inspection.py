"""Whether the App is set up as it must be, seen from GitHub: `chaser.runners.app.Inspection`.

GitHub's own list of deliveries says what nothing on this side could: that it reaches the service, and that what it signs
is taken for genuine. The ping that it sends when an App is made comes too early, since its secret comes with the
App: so it is asked to send that again.
"""

from collections.abc import Sequence
from typing import Final

from chaser.errors import Refused, Unavailable
from chaser.findings import Finding, failed, ok, warning
from chaser.github.answers import (
    AppAnswer,
    HookConfigAnswer,
    HookDeliveriesAnswer,
    HookDeliveryAnswer,
    InstallationAnswer,
    InstallationsAnswer,
)
from chaser.github.client import AppClient
from chaser.github.pages import app_page, installation_page
from chaser.github.permissions import (
    EVENT,
    NEEDED,
    ORGANIZATION_RUNNERS,
    REPOSITORY_RUNNERS,
    Permission,
    enough,
    may_register,
    titled,
)
from chaser.github.wire import read
from chaser.runners.inbox import IntakeMode
from chaser.secret import Secret

_PING: Final = "ping"
_SEND_AGAIN_SECONDS = 20.0
_NO_ANSWER = "GitHub could not be asked"
_WAYS = (Permission(ORGANIZATION_RUNNERS, "write"), Permission(REPOSITORY_RUNNERS, "write"))


class AppInspection:
    def __init__(
        self,
        client: AppClient,
        hook_path: str,
        public_url: str | None,
        intake: IntakeMode = IntakeMode.WEBHOOK,
    ) -> None:
        """`public_url` of none: it is not known where GitHub reaches the service."""
        self._intake = intake
        self._client = client
        self._hook_path = hook_path
        self._public_url = public_url
        self._sent_again = float("-inf")

    async def findings(self, *, send_ping: bool) -> Sequence[Finding]:
        doing = "looking at the App"
        try:
            answer = await self._client.call_as_app("GET", "/app", doing=doing)
            app = read(AppAnswer, answer, doing)
        except (Refused, Unavailable) as error:
            return [failed("app", _NO_ANSWER, error.message)]
        page = app_page(
            self._client.web_url,
            app.short_name,
            app.owner.login or "",
            organization=app.owner.is_organization,
        )
        return [
            ok("app", f"{app.short_name} of {app.owner.login}: {app.html_url}"),
            _events(app, page),
            _permissions(app, page),
            await self._hook(page),
            await self._deliveries(page, send_ping=send_ping),
            *await self._installations(app),
        ]

    async def turn_secret(self, secret: Secret) -> None:
        body = {"secret": secret.reveal()}
        await self._client.call_as_app(
            "PATCH", "/app/hook/config", doing="changing the webhook's secret", body=body
        )

    async def _hook(self, page: str) -> Finding:
        doing = "looking at the App's webhook"
        try:
            answer = await self._client.call_as_app("GET", "/app/hook/config", doing=doing)
            config = read(HookConfigAnswer, answer, doing)
        except (Refused, Unavailable) as error:
            return failed("webhook", _NO_ANSWER, error.message)
        url = config.url or ""
        if self._intake is IntakeMode.DELIVERIES:
            return _read(url, page)
        if self._public_url is not None and url != f"{self._public_url}{self._hook_path}":
            mend = (
                f"Set the webhook URL to {self._public_url}{self._hook_path} at {page}, or change public_url."
            )
            return failed("webhook", f"GitHub sends to {url or 'no address'}", mend)
        if not url.endswith(self._hook_path):
            mend = f"Set the webhook URL to https://<your service>{self._hook_path} at {page}."
            return failed("webhook", f"GitHub sends to {url or 'no address'}", mend)
        if config.content_type != "json":
            mend = f"Set the webhook's content type to application/json at {page}."
            return failed("webhook", f"GitHub sends the content type {config.content_type}", mend)
        return ok("webhook", f"GitHub sends to {url}")

    async def _deliveries(self, page: str, *, send_ping: bool) -> Finding:
        """The newest delivery decides: what was answered long ago may no longer hold."""
        doing = "looking at the App's deliveries"
        path = "/app/hook/deliveries"
        try:
            answer = await self._client.call_as_app("GET", path, doing=doing, params={"per_page": "100"})
            found = read(HookDeliveriesAnswer, answer, doing).root
            if found and self._intake is not IntakeMode.WEBHOOK:
                return ok("delivery", f"GitHub lists its deliveries, the last one of {found[0].event}")
            if found and 200 <= found[0].status_code < 300:
                what = f"GitHub's last delivery ({found[0].event}) was answered {found[0].status_code}"
                return ok("delivery", f"{what}: its signature was genuine")
            ping = next((each for each in found if each.event == _PING), None)
            sent = send_ping and ping is not None and await self._send_again(ping)
        except (Refused, Unavailable) as error:
            return failed("delivery", _NO_ANSWER, error.message)
        if not found:
            mend = (
                f"GitHub sends a ping when a webhook is made; see {page}/advanced, and whether it is active."
            )
            return warning("delivery", "GitHub has sent nothing yet", mend)
        mend = f"{_mend(found[0])} See {page}/advanced."
        if sent:
            mend = f"It was sent for again just now; if this stays so: {mend}"
        return failed("delivery", _unanswered(found[0]), mend)

    async def _send_again(self, ping: HookDeliveryAnswer) -> bool:
        now = self._client.clock.monotonic()
        if now < self._sent_again + _SEND_AGAIN_SECONDS:
            return False
        self._sent_again = now
        path = f"/app/hook/deliveries/{ping.id}/attempts"
        await self._client.call_as_app("POST", path, doing="asking for the ping once more")
        return True

    async def _installations(self, app: AppAnswer) -> Sequence[Finding]:
        doing = "looking where the App is installed"
        try:
            params = {"per_page": "100"}
            answer = await self._client.call_as_app("GET", "/app/installations", doing=doing, params=params)
            found = read(InstallationsAnswer, answer, doing).root
        except (Refused, Unavailable) as error:
            return [failed("installation", _NO_ANSWER, error.message)]
        if not found:
            mend = (
                f"Install it for the repositories that are to have runners: {app.html_url}/installations/new"
            )
            return [failed("installation", "The App is installed nowhere", mend)]
        return [self._installation(app, each) for each in found]

    def _installation(self, app: AppAnswer, found: InstallationAnswer) -> Finding:
        login = (found.account.login if found.account else None) or "?"
        organization = found.account is not None and found.account.is_organization
        page = installation_page(self._client.web_url, found.id, login, organization=organization)
        name = f"installation {login}"
        if found.suspended_at is not None:
            return failed(name, "It is suspended", f"Lift the suspension at {page}.")
        asked = [Permission(permission, level) for permission, level in app.permissions.items()]
        lacking = tuple(each for each in asked if not enough(found.permissions, each))
        if lacking:
            return failed(name, f"It has not accepted {titled(lacking)}", f"Accept it at {page}.")
        if not organization and not may_register(found.permissions, REPOSITORY_RUNNERS):
            mend = f"A personal account's App needs {titled(_WAYS[1:])}; see docs/github.md."
            return failed(name, "It may register no runner", mend)
        return ok(name, "It may register runners")


def _read(url: str, page: str) -> Finding:
    """Without an address GitHub makes no deliveries, and so lists none."""
    if not url:
        mend = f"Give the webhook any address of yours at {page}, and make it active: GitHub lists what it sends there."
        return failed("webhook", "GitHub sends nothing, so it lists no deliveries", mend)
    return ok("webhook", "deliveries are read from the App's list (github.intake)")


def _events(app: AppAnswer, page: str) -> Finding:
    if EVENT in app.events:
        return ok("events", f"subscribed to {EVENT}")
    mend = f'Subscribe to "Workflow job" at {page}/permissions.'
    return failed("events", f"not subscribed to {EVENT}, so GitHub tells of no job", mend)


def _permissions(app: AppAnswer, page: str) -> Finding:
    lacking = tuple(each for each in NEEDED if not enough(app.permissions, each))
    if not any(enough(app.permissions, way) for way in _WAYS):
        lacking += _WAYS[:1] if app.owner.is_organization else _WAYS[1:]
    if lacking:
        return failed("permissions", f"The App lacks {titled(lacking)}", f"Grant it at {page}/permissions.")
    return ok("permissions", ", ".join(f"{name}: {level}" for name, level in sorted(app.permissions.items())))


def _unanswered(delivery: HookDeliveryAnswer) -> str:
    if delivery.status_code == 0:
        return f"GitHub's last delivery ({delivery.event}) had no answer: {delivery.status}"
    return f"GitHub's last delivery ({delivery.event}) was answered {delivery.status_code}"


def _mend(delivery: HookDeliveryAnswer) -> str:
    if delivery.status_code == 401:
        return "The webhook's secret at GitHub and here differ; set both to the same one."
    return "GitHub must reach the service at the webhook's URL, through its proxy and firewall, with a valid certificate."
