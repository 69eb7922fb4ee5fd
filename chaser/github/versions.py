"""Until when GitHub serves a version of the runner.

https://docs.github.com/en/rest/actions/self-hosted-runners#get-runner-version-end-of-life-schedule-for-a-repository
"""

from typing import Final
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict

from chaser.errors import Refused
from chaser.github.budget import Urgency
from chaser.github.client import AppClient
from chaser.github.failures import unanswered
from chaser.github.permissions import ORGANIZATION_RUNNERS, REPOSITORY_RUNNERS, Permission, enough, titled
from chaser.github.wire import read
from chaser.jobs.reason import Reason
from chaser.runners.registration import Owner
from chaser.runners.versions import Schedule

_ORGANIZATION: Final = Permission(ORGANIZATION_RUNNERS, "read")
_REPOSITORY: Final = Permission(REPOSITORY_RUNNERS, "read")
_NO_PERMISSION: Final = (
    "The App may look at runners neither of the organization nor of the repository: grant it "
    f"{titled((_ORGANIZATION,))} or {titled((_REPOSITORY,))}, "
    "and have the owner accept the new permission."
)


class ScheduleAnswer(BaseModel):
    """GitHub sends null, or nothing, for an end that is not set."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    runner_version: str
    runtime_deprecates_at: AwareDatetime | None = None
    registration_deprecates_at: AwareDatetime | None = None


class AppSchedules:
    """Asks the organization where the App may, else the repository."""

    def __init__(self, client: AppClient) -> None:
        self._client = client

    async def find(self, owner: Owner, version: str) -> Schedule | None:
        doing = f"asking until when it serves runner {version}"
        answer = await self._client.call(
            owner.installation_id,
            "GET",
            f"{await self._runners(owner)}/deprecations/{quote(version, safe='')}",
            doing=doing,
            meaningful=frozenset({404}),
            # asked before a mint, and seldom
            urgency=Urgency.MINT,
        )
        if answer.status == 404:
            return None
        found = read(ScheduleAnswer, answer, doing)
        if found.runner_version != version:
            raise unanswered(doing, "its answer is for another version")
        return Schedule(found.runtime_deprecates_at, found.registration_deprecates_at)

    async def _runners(self, owner: Owner) -> str:
        """The path of the runners that the App may read; so a 404 below it speaks of the version."""
        token = await self._client.token(owner.installation_id)
        if owner.organization is not None and enough(token.permissions, _ORGANIZATION):
            return f"/orgs/{quote(owner.organization, safe='')}/actions/runners"
        if enough(token.permissions, _REPOSITORY):
            return f"/repos/{quote(owner.repository)}/actions/runners"
        raise Refused(Reason.GITHUB_REFUSED, _NO_PERMISSION)
