"""Registering runners through GitHub's REST API.

https://docs.github.com/en/rest/actions/self-hosted-runners
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from chaser.errors import Refused, Unavailable
from chaser.github.answers import ActionsAnswer, JitAnswer, RunnerAnswer, RunnersAnswer
from chaser.github.budget import Urgency
from chaser.github.client import AppClient
from chaser.github.groups import DEFAULT_GROUP, Group, RunnerGroups
from chaser.github.installations import Installations
from chaser.github.paging import pages
from chaser.github.permissions import (
    ORGANIZATION_RUNNERS,
    REPOSITORY_RUNNERS,
    Permission,
    may_register,
    titled,
)
from chaser.github.wire import read
from chaser.jobs.reason import Reason
from chaser.runners.policy import Level
from chaser.runners.registration import Minted, Owner, Registration, Removal
from chaser.secret import Secret

_WORK_FOLDER = "_work"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an owner's runners are registered. `organization` of none: with the repository."""

    path: str
    organization: str | None


class AppRegistrar:
    """Registers with the organization where that is allowed and the App may do so, else with the repository.

    Which of the two it may, GitHub says with each installation token; so there is nothing to configure.
    """

    def __init__(self, client: AppClient, *, runner_group: str | None = None) -> None:
        """`runner_group` is the name of the organizations' runner group to use; none: their default one."""
        self._installations = Installations(client)
        self._groups = RunnerGroups(client, self._installations, runner_group)

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
        place = await self._place(owner)
        group = await self._group(owner, place)
        body: dict[str, object] = {
            "name": name,
            "runner_group_id": group.id,
            "labels": list(labels),
            "work_folder": _WORK_FOLDER,
        }
        try:
            answer = await self._installations.call(
                owner,
                "POST",
                f"{place.path}/generate-jitconfig",
                doing=doing,
                body=body,
                meaningful=frozenset({409}),
                urgency=Urgency.MINT,
            )
        except Refused as error:
            if place.organization is None and not await self._actions_enabled(owner):
                raise _actions_disabled(owner) from error
            raise
        if answer.status == 409:
            return None
        made = read(JitAnswer, answer, doing)
        secret = Secret(made.encoded_jit_config.get_secret_value())
        return Minted(made.runner.id, made.runner.name, secret, public=group.public)

    async def _group(self, owner: Owner, place: _Place) -> Group:
        if place.organization is None:
            return Group(DEFAULT_GROUP, public=False)
        return await self._groups.group_for(owner, place.organization)

    async def _actions_enabled(self, owner: Owner) -> bool:
        """Whether the repository may use Actions; asked when it refuses a runner. If GitHub does not say, it may."""
        doing = f"looking whether {owner.repository} may use Actions"
        path = f"/repos/{quote(owner.repository)}/actions/permissions"
        not_said = frozenset({401, 403, 404, 409, 422})
        try:
            answer = await self._installations.call(
                owner, "GET", path, doing=doing, meaningful=not_said, urgency=Urgency.MINT
            )
        except (Refused, Unavailable):
            return True  # the first refusal is the one to tell of
        return answer.status != 200 or read(ActionsAnswer, answer, doing).enabled

    async def _clear(self, owner: Owner, name: str) -> None:
        """Remove what an earlier call with this name left behind, unless something lives there."""
        left = await self._find(owner, name, Urgency.MINT)
        if left is None:
            return
        if left.online or left.busy:
            raise _taken(name)
        if await self._remove(owner, left.runner_id, Urgency.MINT) is Removal.BUSY:
            raise _taken(name)

    async def find(self, owner: Owner, name: str) -> Registration | None:
        return await self._find(owner, name, Urgency.DELETE)

    async def _find(self, owner: Owner, name: str, urgency: Urgency) -> Registration | None:
        doing = f"looking for a runner of {owner.repository}"
        place = await self._place(owner)
        params = {"name": name, "per_page": "100"}
        answer = await self._installations.call(
            owner, "GET", place.path, doing=doing, params=params, urgency=urgency
        )
        found = read(RunnersAnswer, answer, doing).runners
        return next((_registration(runner) for runner in found if runner.name == name), None)

    async def place(self, owner: Owner) -> str:
        return (await self._place(owner)).path.lower()

    async def list(self, owner: Owner, prefix: str) -> Sequence[Registration]:
        doing = f"listing the runners of {owner.repository}"
        place = await self._place(owner)
        found: list[RunnerAnswer] = []
        for params in pages():
            answer = await self._installations.call(owner, "GET", place.path, doing=doing, params=params)
            page = read(RunnersAnswer, answer, doing)
            found += page.runners
            if not page.runners or len(found) >= page.total_count:
                break
        return [_registration(runner) for runner in found if runner.name.startswith(prefix)]

    async def remove(self, owner: Owner, runner_id: int) -> Removal:
        return await self._remove(owner, runner_id, Urgency.DELETE)

    async def _remove(self, owner: Owner, runner_id: int, urgency: Urgency) -> Removal:
        answer = await self._installations.call(
            owner,
            "DELETE",
            f"{(await self._place(owner)).path}/{runner_id}",
            doing=f"removing a runner of {owner.repository}",
            meaningful=frozenset({404, 422}),
            urgency=urgency,
        )
        outcomes = {404: Removal.ABSENT, 422: Removal.BUSY}
        return outcomes.get(answer.status, Removal.REMOVED)

    async def _place(self, owner: Owner) -> _Place:
        token = await self._installations.token(owner)
        wide = owner.organization is not None and owner.level is Level.ORGANIZATION
        if wide and owner.organization and may_register(token.permissions, ORGANIZATION_RUNNERS):
            return _Place(f"/orgs/{quote(owner.organization, safe='')}/actions/runners", owner.organization)
        if may_register(token.permissions, REPOSITORY_RUNNERS):
            return _Place(f"/repos/{quote(owner.repository)}/actions/runners", None)
        raise Refused(Reason.GITHUB_REFUSED, _no_permission(owner, wide=wide))


def _registration(runner: RunnerAnswer) -> Registration:
    return Registration(runner.id, runner.name, online=runner.status != "offline", busy=runner.busy)


def _taken(name: str) -> Unavailable:
    message = f"GitHub has a living runner named {name!r}; the next attempt takes another name."
    return Unavailable(Reason.GITHUB_UNAVAILABLE, message)


def _actions_disabled(owner: Owner) -> Refused:
    message = (
        f"Actions is switched off for {owner.repository}: switch it on under the repository's "
        "Settings → Actions → General, or in its organization's policy."
    )
    return Refused(Reason.GITHUB_REFUSED, message)


def _no_permission(owner: Owner, *, wide: bool) -> str:
    names = (ORGANIZATION_RUNNERS, REPOSITORY_RUNNERS) if wide else (REPOSITORY_RUNNERS,)
    wanted = " or ".join(titled((Permission(name, "write"),)) for name in names)
    why = (
        " (a runner for this repository must not be shared with the organization)"
        if owner.organization is not None and not wide
        else ""
    )
    return (
        f"The App may not register runners for {owner.repository}{why}: grant it {wanted} in the App's settings under "
        "Permissions & events, and have the account accept it on its page of the installed App."
    )
