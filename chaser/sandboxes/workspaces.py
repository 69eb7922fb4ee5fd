"""Workspaces: volumes that are kept across jobs. Their values, and where they are written down (a Protocol;
`chaser.store` implements it). What is in them is the engine's: see `chaser.sandboxes.volumes`."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chaser.ids import JobId, SnapshotId, WorkspaceId
from chaser.jobs.ports import SandboxRow

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
WORKSPACE_ID = r"^wsp_[0-9a-z]{26}$"
SNAPSHOT_ID = r"^snp_[0-9a-z]{26}$"

_ID = re.compile(WORKSPACE_ID)


def is_id(text: str) -> bool:
    """A selector is an id or a name: what reads as an id is not taken for a name."""
    return _ID.fullmatch(text) is not None


def folded(name: str) -> str:
    """Of names that differ in nothing but case there is one workspace."""
    return name.lower()


@dataclass(frozen=True, slots=True)
class Workspace:
    id: WorkspaceId
    name: str
    created_at: datetime
    last_used_at: datetime
    engine_id: str | None = None
    """Where its volume is; none until it is made."""
    image: str | None = None
    """The image that its jobs run in; none: their profile's."""
    ttl: timedelta | None = None
    """It is deleted when it has not been used for so long; none: never."""
    expires_at: datetime | None = None
    size_bytes: int | None = None
    """As last measured; none: never yet."""
    sized_at: datetime | None = None
    quota_bytes: int | None = None

    @property
    def over_quota(self) -> bool:
        return self.quota_bytes is not None and (self.size_bytes or 0) > self.quota_bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a workspace held at one moment."""

    id: SnapshotId
    workspace_id: WorkspaceId
    name: str | None
    created_at: datetime
    size_bytes: int | None = None
    """None while it is being made, or if that failed."""

    @property
    def whole(self) -> bool:
        return self.size_bytes is not None


@dataclass(frozen=True, slots=True)
class Busy:
    """It cannot be done while these jobs use the workspace, or stand in line for it."""

    jobs: Sequence[JobId]


@dataclass(frozen=True, slots=True)
class Deleted:
    """It is gone from the store. Its volume, and those of its snapshots, are to go too."""

    snapshots: Sequence[SnapshotId]


class WorkspaceStore(Protocol):
    """Each method is one transaction."""

    async def add(self, new: Workspace) -> Workspace | None:
        """None if there is one of that name already."""
        ...

    async def find_or_add(self, new: Workspace) -> Workspace:
        """The one of that name; `new` itself if there was none."""
        ...

    async def get(self, selector: str) -> Workspace | None:
        """By its id, or by its name."""
        ...

    async def list(self, prefix: str, before: WorkspaceId | None, limit: int) -> Sequence[Workspace]:
        """Newest first, those whose folded name begins with `prefix`."""
        ...

    async def settle(self, workspace: WorkspaceId, engine_id: str) -> Workspace | None:
        """Make that engine the one that has its volume, unless one has it already. As it is then; none: it is gone."""
        ...

    async def used(self, workspace: WorkspaceId, at: datetime) -> None:
        """It is in use, or was until now: what is left of its time begins anew."""
        ...

    async def sized(self, workspace: WorkspaceId, size_bytes: int, at: datetime) -> None: ...

    async def users(self, workspace: WorkspaceId) -> Sequence[JobId]:
        """The jobs that stand in its line, in order: those that use it now, and those that wait for it."""
        ...

    async def expired(self, now: datetime) -> Sequence[Workspace]:
        """Those whose time is over, whether they are in use or not."""
        ...

    async def delete(
        self, workspace: WorkspaceId, *, expired_at: datetime | None = None
    ) -> Deleted | Busy | None:
        """Delete it unless a job stands in its line; with `expired_at`, only if its time is over by then.

        None: there is no such workspace, or its time is not over.
        """
        ...

    async def add_snapshot(self, snapshot: Snapshot) -> bool:
        """False if the workspace is gone. Fine if it is written already."""
        ...

    async def snapshots(self, workspace: WorkspaceId) -> Sequence[Snapshot]:
        """Newest first."""
        ...

    async def snapshot(self, workspace: WorkspaceId, snapshot: SnapshotId) -> Snapshot | None: ...

    async def complete(self, snapshot: SnapshotId, size_bytes: int) -> Snapshot | None:
        """It holds all that it should. None: it was deleted meanwhile."""
        ...

    async def delete_snapshot(self, snapshot: SnapshotId) -> bool:
        """False if there was none."""
        ...

    async def adopt(self, snapshot: SnapshotId, new: Workspace) -> Workspace | None:
        """Make a snapshot the content of a new workspace: the one's row goes, the other's comes, in one transaction.

        Fine if it has been done already. None: there is a workspace of that name, or the snapshot is gone.
        """
        ...

    async def name_tool(self, row: SandboxRow) -> None:
        """Write down a tool before it is made. Raises `Unavailable` while there may be another for the same job."""
        ...

    async def kept(self, ids: Collection[str]) -> frozenset[str]:
        """Those of these ids, of workspaces and snapshots, that there are."""
        ...
