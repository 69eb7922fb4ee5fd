"""Where the App is installed, and which repositories it may see there: `chaser.runners.lookout.Places`.

https://docs.github.com/en/rest/apps/installations
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from chaser.github.answers import (
    InstallationAnswer,
    InstallationsAnswer,
    RepositoriesAnswer,
    RepositoryAnswer,
)
from chaser.github.client import AppClient
from chaser.github.reading import next_page
from chaser.github.wire import read
from chaser.runners.event import InstallationEvent

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class AppPlaces:
    def __init__(self, client: AppClient) -> None:
        self._client = client

    async def installations(self) -> Sequence[InstallationEvent]:
        doing = "looking where the App is installed"
        found: list[InstallationAnswer] = []
        asked: Mapping[str, str] | None = {"per_page": "100"}
        while asked is not None:
            answer = await self._client.call_as_app("GET", "/app/installations", doing=doing, params=asked)
            found += read(InstallationsAnswer, answer, doing).root
            asked = next_page(answer.headers)
        return [_listed(each) for each in found]

    async def repositories(self, installation_id: int) -> Sequence[str]:
        doing = "listing the repositories that the App may see"
        found: list[RepositoryAnswer] = []
        asked: Mapping[str, str] | None = {"per_page": "100"}
        while asked is not None:
            path = "/installation/repositories"
            answer = await self._client.call(installation_id, "GET", path, doing=doing, params=asked)
            found += read(RepositoriesAnswer, answer, doing).repositories
            asked = next_page(answer.headers)
        usable = [each for each in found if not (each.archived or each.disabled)]
        usable.sort(key=lambda each: each.pushed_at or _NEVER, reverse=True)
        return [each.full_name for each in usable]


def _listed(each: InstallationAnswer) -> InstallationEvent:
    account = each.account
    return InstallationEvent(
        event="installation",
        action="listed",
        installation_id=each.id,
        account=account.login if account else None,
        account_type=each.target_type or (account.type if account else None),
        selection=each.repository_selection,
        suspended_at=each.suspended_at,
        updated_at=each.updated_at,
    )
