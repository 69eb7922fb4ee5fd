"""Registering runners through GitHub's REST API.

https://docs.github.com/en/rest/actions/self-hosted-runners
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from chaser.errors import Refused, Unavailable
from chaser.github.answers import JitAnswer, RunnersAnswer
from chaser.github.client import AppClient, read
from chaser.jobs.reason import Reason
from chaser.runners.registration import Minted, Owner, Registration, Removal
from chaser.secret import Secret

ORGANIZATION_PERMISSION: Final = "organization_self_hosted_runners"
REPOSITORY_PERMISSION: Final = "administration"
"""Strong, but the only one with which GitHub lets an App register a runner for a repository."""

_DEFAULT_GROUP = 1
"""The runner group `Default`: of a repository always, of an organization unless somebody has remade it."""
_WORK_FOLDER = "_work"

_NO_PERMISSION = (
    "The App may register runners neither for the organization nor for the repository: grant it "
    f"{ORGANIZATION_PERMISSION!r}: write (organizations) or {REPOSITORY_PERMISSION!r}: write (personal accounts), "
    "and have the owner accept the new permission."
)


class AppRegistrar:
    """Registers with the organization where the App may do so, else with the repository.

    Which of the two it may, GitHub says with each installation token; so there is nothing to configure.
    """

    def __init__(self, client: AppClient) -> None:
        self._client = client

    async def mint(self, owner: Owner, name: str, labels: Sequence[str]) -> Minted:
        minted = await self._mint(owner, name, labels)
        if minted is None:
            await self._clear(owner, name)
            minted = await self._mint(owner, name, labels)
        if minted is None:
            raise _taken(name)
        return minted

    async def _mint(self, owner: Owner, name: str, labels: Sequence[str]) -> Minted | None:
        """None: the name is taken."""
        doing = f"registering a runner for {owner.repository}"
        answer = await self._client.call(
            owner.installation_id,
            "POST",
            f"{await self._runners(owner)}/generate-jitconfig",
            doing=doing,
            body={
                "name": name,
                "runner_group_id": _DEFAULT_GROUP,
                "labels": list(labels),
                "work_folder": _WORK_FOLDER,
            },
            meaningful=frozenset({409}),
        )
        if answer.status == 409:
            return None
        made = read(JitAnswer, answer, doing)
        return Minted(made.runner.id, made.runner.name, Secret(made.encoded_jit_config.get_secret_value()))

    async def _clear(self, owner: Owner, name: str) -> None:
        """Remove what an earlier call with this name left behind, unless something lives there."""
        left = await self.find(owner, name)
        if left is None:
            return
        if left.online or left.busy or await self.remove(owner, left.runner_id) is Removal.BUSY:
            raise _taken(name)

    async def find(self, owner: Owner, name: str) -> Registration | None:
        doing = f"looking for a runner of {owner.repository}"
        answer = await self._client.call(
            owner.installation_id,
            "GET",
            await self._runners(owner),
            doing=doing,
            params={"name": name, "per_page": "100"},
        )
        for runner in read(RunnersAnswer, answer, doing).runners:
            if runner.name == name:
                return Registration(
                    runner.id, runner.name, online=runner.status != "offline", busy=runner.busy
                )
        return None

    async def remove(self, owner: Owner, runner_id: int) -> Removal:
        answer = await self._client.call(
            owner.installation_id,
            "DELETE",
            f"{await self._runners(owner)}/{runner_id}",
            doing=f"removing a runner of {owner.repository}",
            meaningful=frozenset({404, 422}),
        )
        outcomes = {404: Removal.ABSENT, 422: Removal.BUSY}
        return outcomes.get(answer.status, Removal.REMOVED)

    async def _runners(self, owner: Owner) -> str:
        """The path of the runners that this owner's jobs may have."""
        token = await self._client.token(owner.installation_id)
        if owner.organization is not None and token.permissions.get(ORGANIZATION_PERMISSION) == "write":
            return f"/orgs/{quote(owner.organization, safe='')}/actions/runners"
        if token.permissions.get(REPOSITORY_PERMISSION) == "write":
            return f"/repos/{quote(owner.repository)}/actions/runners"
        raise Refused(Reason.GITHUB_REFUSED, _NO_PERMISSION)


def _taken(name: str) -> Unavailable:
    message = f"GitHub has a living runner named {name!r}; the next attempt takes another name."
    return Unavailable(Reason.GITHUB_UNAVAILABLE, message)
