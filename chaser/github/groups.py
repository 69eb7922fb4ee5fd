"""The runner group that an organization's runners are registered in, by its name.

https://docs.github.com/en/rest/actions/self-hosted-runner-groups
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from chaser.errors import Refused
from chaser.github.answers import RepositoriesAnswer, RunnerGroupAnswer, RunnerGroupsAnswer
from chaser.github.budget import Urgency
from chaser.github.client import AppClient
from chaser.github.installations import Installations
from chaser.github.paging import pages
from chaser.github.wire import read
from chaser.jobs.reason import Reason
from chaser.runners.registration import Owner

DEFAULT_GROUP = 1
"""The runner group `Default`: of a repository always, of an organization unless somebody has remade it."""
_STALE_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    public: bool
    """Whether public repositories may use it too; where GitHub does not say, they may."""


@dataclass(slots=True)
class _Known:
    """What is known of one organization's groups. The lock makes those who come during a look wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    group: RunnerGroupAnswer | None = None
    allowed: set[str] = field(default_factory=set[str])
    """Repositories that GitHub has said may use it."""
    stale_at: float = float("-inf")


class RunnerGroups:
    def __init__(self, client: AppClient, installations: Installations, name: str | None) -> None:
        """`name` is the group's; none: the organization's default one."""
        self._clock = client.clock
        self._installations = installations
        self._name = name
        self._known: dict[str, _Known] = {}

    async def group_for(self, owner: Owner, organization: str) -> Group:
        """The group to use. Raises `Refused` if there is no such group, or if it does not let the repository in."""
        known = self._known.setdefault(organization, _Known())
        async with known.lock:
            if known.stale_at <= self._clock.monotonic():
                known.group, known.allowed = await self._look(owner, organization), set()
                known.stale_at = self._clock.monotonic() + _STALE_SECONDS
            if known.group is None:
                return Group(DEFAULT_GROUP, public=True)
            if owner.repository not in known.allowed:
                await self._check(owner, organization, known.group)
                known.allowed.add(owner.repository)
            return Group(known.group.id, known.group.allows_public_repositories)

    async def _look(self, owner: Owner, organization: str) -> RunnerGroupAnswer | None:
        """None: GitHub shows no groups (an older Enterprise Server), and none is asked for by name."""
        doing = f"looking for the runner groups of {organization}"
        path = _groups(organization)
        not_shown = frozenset({404}) if self._name is None else frozenset[int]()
        found: list[RunnerGroupAnswer] = []
        for params in pages():
            answer = await self._installations.call(
                owner,
                "GET",
                path,
                doing=doing,
                params=params,
                meaningful=not_shown,
                urgency=Urgency.MINT,
            )
            if answer.status == 404:
                return None
            page = read(RunnerGroupsAnswer, answer, doing)
            found += page.runner_groups
            if not page.runner_groups or len(found) >= page.total_count:
                break
        return self._chosen(found, organization)

    def _chosen(self, groups: Sequence[RunnerGroupAnswer], organization: str) -> RunnerGroupAnswer | None:
        if self._name is None:
            return next((group for group in groups if group.default), None)
        for group in groups:
            if group.name.casefold() == self._name.casefold():
                return group
        names = ", ".join(repr(group.name) for group in groups)
        message = (
            f"The organization {organization} has no runner group {self._name!r}; it has: {names}. "
            "Make it (organization settings → Actions → Runner groups), or name another one in github.runner_group."
        )
        raise Refused(Reason.GITHUB_REFUSED, message)

    async def _check(self, owner: Owner, organization: str, group: RunnerGroupAnswer) -> None:
        """GitHub registers runners in a group that does not let the repository in, and then leaves them without a job."""
        if group.visibility != "selected":
            return
        doing = f"looking which repositories may use the runner group {group.name!r}"
        path = f"{_groups(organization)}/{group.id}/repositories"
        seen = 0
        for params in pages():
            answer = await self._installations.call(
                owner, "GET", path, doing=doing, params=params, urgency=Urgency.MINT
            )
            page = read(RepositoriesAnswer, answer, doing)
            if any(each.full_name.casefold() == owner.repository.casefold() for each in page.repositories):
                return
            seen += len(page.repositories)
            if not page.repositories or seen >= page.total_count:
                break
        message = (
            f"The runner group {group.name!r} of {organization} does not allow {owner.repository}: add the repository to it "
            "(organization settings → Actions → Runner groups), or name another group in github.runner_group."
        )
        raise Refused(Reason.GITHUB_REFUSED, message)


def _groups(organization: str) -> str:
    return f"/orgs/{quote(organization, safe='')}/actions/runner-groups"
