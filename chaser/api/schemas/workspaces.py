"""The routes under /v1/workspaces."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from chaser.api.schemas.common import Limit, Moment, Query, Shown
from chaser.jobs.kinds.schema import ImageName, Size, Strict, WorkspaceSelector, fits
from chaser.sandboxes.workspaces import NAME, WORKSPACE_ID, is_id

_LONGEST_TTL_MS = 10 * 366 * 24 * 3600 * 1000
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"

Name = Annotated[
    str,
    Field(pattern=NAME, description="1 to 64 letters, digits, `.`, `_` and `-`; the case does not matter."),
    fits(lambda name: not is_id(name), "reads as a workspace's id"),
]


class WorkspaceRequest(Strict):
    """A new workspace."""

    name: Name
    image: ImageName | None = Field(
        default=None, description="The image that its jobs run in; else that of their profile."
    )
    clone_from: WorkspaceSelector | None = Field(
        default=None, description="The name or id of a workspace whose files it is to begin with."
    )
    ttl_ms: Annotated[int, Field(ge=1000, le=_LONGEST_TTL_MS)] | None = Field(
        default=None, description="It is deleted when it has not been used for so long."
    )
    quota: Size | None = Field(
        default=None, description="How much it may hold; watched while jobs run in it."
    )


class WorkspaceQuery(Query):
    limit: Limit = 20
    cursor: (
        Annotated[str, Field(pattern=WORKSPACE_ID, description="`next_cursor` of the page before.")] | None
    ) = None


class DeleteQuery(Query):
    force: Annotated[
        bool, Field(description="Cancel the jobs that use it, or wait for it, instead of being refused.")
    ] = False


class WorkspaceAnswer(Shown):
    id: str
    name: str
    image: str | None
    created_at: Moment
    last_used_at: Moment
    ttl_ms: int | None
    expires_at: Moment | None
    size_bytes: int | None = Field(description="As measured at `sized_at`, soon after its last use.")
    sized_at: Moment | None
    quota_bytes: int | None
    busy_with: list[str] = Field(
        description="The jobs that use it, and behind them those that wait for it, in order."
    )


class WorkspacePage(Shown):
    data: list[WorkspaceAnswer]
    next_cursor: str | None


class FilesQuery(Query):
    path: Annotated[
        str,
        Field(
            max_length=20_000, description="The directory, percent-encoded; the workspace itself if left out."
        ),
    ] = ""
    limit: Limit = 100
    cursor: Annotated[str | None, Field(max_length=1000, description="`next_cursor` of the page before.")] = (
        None
    )


class FileType(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


class FileAnswer(Shown):
    name: str = Field(description="As UTF-8; what is not is replaced.")
    path: str = Field(description="From the workspace on, percent-encoded, exactly: for /files/{path}.")
    type: FileType
    size_bytes: int
    mode: int = Field(description="The permission bits.")
    modified_at: Moment
    uid: int
    gid: int


class FilePage(Shown):
    data: list[FileAnswer]
    next_cursor: str | None


class SnapshotRequest(Strict):
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=_PRINTABLE)] | None = None


class SnapshotAnswer(Shown):
    id: str
    workspace_id: str
    name: str | None
    created_at: Moment
    size_bytes: int | None = Field(description="Null while it is being made, or if that failed.")


class SnapshotList(Shown):
    data: list[SnapshotAnswer]
    next_cursor: None = None
