"""GitHub's manifest flow: `app.yml` as GitHub wants to have it, and the App that comes of it.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import yaml
from githubkit import UnauthAuthStrategy
from githubkit.exception import GitHubException, RequestFailed
from pydantic import BaseModel, ConfigDict

from chaser.clock import Clock
from chaser.errors import ConfigError, Refused
from chaser.github.answers import ConversionAnswer
from chaser.github.client import check
from chaser.github.failures import failure, unanswered
from chaser.github.pages import new_app_page, web_url
from chaser.github.permissions import Permission, title
from chaser.github.wire import API_URL, TIMEOUT, Wire, read
from chaser.jobs.reason import Reason
from chaser.runners.app import Account, App, Manifest, Wanted
from chaser.secret import Secret

LONGEST_NAME: Final = 34
_CODE_IS_NO_GOOD = (
    "GitHub does not know the code that it sent the browser back with: it is good once, and for an hour. "
    "Begin again with `chaser github setup`; if the App was made already, delete it at GitHub first."
)


class _Hook(BaseModel):
    url: str
    active: bool


class _Variant(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default_permissions: Mapping[str, str]


class AppFile(BaseModel):
    """`app.yml`"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    url: str
    description: str
    public: bool
    hook_attributes: _Hook
    default_events: list[str]
    default_permissions: Mapping[str, str]
    variants: Mapping[Account, _Variant]

    def permissions(self, account: Account) -> dict[str, str]:
        return {**self.default_permissions, **self.variants[account].default_permissions}


@cache
def app_file() -> AppFile:
    """Beside the package in a checkout, inside of it where it is installed."""
    package = Path(__file__).parents[1]
    path = next(path for path in (package / "app.yml", package.parent / "app.yml") if path.exists())
    return AppFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


class ManifestFlow:
    def __init__(
        self, clock: Clock, hook_path: str, *, api_url: str = API_URL, timeout: float = TIMEOUT
    ) -> None:
        """`hook_path` is where the service takes deliveries."""
        self._clock = clock
        self._hook_path = hook_path
        self._api_url = api_url
        self._timeout = timeout
        self._web = web_url(api_url)

    def manifest(self, wanted: Wanted, state: str) -> Manifest:
        file = app_file()
        permissions = file.permissions(wanted.account)
        document = {
            "name": wanted.name,
            "url": wanted.public_url,
            "description": file.description,
            "public": file.public,
            "hook_attributes": {"url": f"{wanted.public_url}{self._hook_path}", "active": True},
            "redirect_url": wanted.redirect_url,
            "setup_url": wanted.setup_url,
            "default_events": file.default_events,
            "default_permissions": permissions,
        }
        return Manifest(
            action=f"{new_app_page(self._web, wanted.organization)}?{urlencode({'state': state})}",
            manifest=json.dumps(document),
            permissions=[title(Permission(name, level)) for name, level in permissions.items()],
        )

    async def convert(self, code: str) -> App:
        doing = "fetching the new App's credentials"
        path = f"/app-manifests/{quote(code, safe='')}/conversions"
        wire = Wire(UnauthAuthStrategy(), self._api_url, timeout=self._timeout)
        try:
            async with wire:
                answer = await wire.send("POST", path)
        except RequestFailed as error:
            if error.response.status_code in {404, 422}:
                raise Refused(Reason.GITHUB_REFUSED, _CODE_IS_NO_GOOD) from error
            raise failure(error, doing) from error
        except (GitHubException, ValueError) as error:
            raise failure(error, doing) from error
        made = read(ConversionAnswer, answer, doing)
        secret = made.webhook_secret.get_secret_value() if made.webhook_secret else ""
        app = App(
            app_id=str(made.id),
            slug=made.short_name,
            owner=made.owner.login or "",
            page=made.html_url,
            private_key=Secret(made.pem.get_secret_value()),
            webhook_secrets=(Secret(secret),) if secret else (),
            created_at=self._clock.now(),
        )
        try:
            check(app.credentials)
        except ConfigError as error:
            raise unanswered(doing, "its answer is not what GitHub documents") from error
        return app
