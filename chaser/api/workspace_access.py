"""Workspaces as clients name them, as far as their keys reach."""

from chaser.api.auth import forbid
from chaser.api.context import Place
from chaser.clock import Clock
from chaser.errors import Rejected
from chaser.ids import WorkspaceId, new_workspace_id
from chaser.keys import ApiKey
from chaser.sandboxes.workspaces import Workspace, WorkspaceStore, folded, is_id

_NONE = "There is no such workspace, or this key may not use it; GET /v1/workspaces lists those that it may."


class WorkspaceAccess:
    """`chaser.api.context.Workspaces` on the store."""

    def __init__(self, store: WorkspaceStore, clock: Clock, default_quota: int | None = None) -> None:
        """`default_quota`: of a workspace that is made by its first use."""
        self._store = store
        self._clock = clock
        self._default_quota = default_quota

    async def use(self, selector: str, key: ApiKey) -> Place:
        if is_id(selector):
            found = await self.visible(selector, key)
        else:
            require_prefix(key, selector)
            now = self._clock.now()
            found = await self._store.find_or_add(
                Workspace(new_workspace_id(now), selector, now, now, quota_bytes=self._default_quota)
            )
        return Place(found.id, found.image)

    async def find(self, selector: str, key: ApiKey) -> WorkspaceId:
        return (await self.visible(selector, key)).id

    async def visible(self, selector: str, key: ApiKey) -> Workspace:
        """One that the key may not use is the same to it as one that there isn't."""
        found = await self._store.get(selector)
        if found is None or not covers(key, found.name):
            raise Rejected(404, "workspace_not_found", _NONE)
        return found


def covers(key: ApiKey, name: str) -> bool:
    return folded(name).startswith(folded(key.workspace_prefix or ""))


def require_prefix(key: ApiKey, name: str) -> None:
    if not covers(key, name):
        forbid(f"The key may only use workspaces whose name begins with {key.workspace_prefix!r}.")
