"""Files that go into sandboxes and come out of them, as they are kept; and what keeps their rows (a Protocol each).

The contents are files below the data directory, under names that nobody else chooses.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chaser.ids import JobId, KeyId, UploadId

LONGEST_ARTIFACT_PATH = 1024
"""Bytes of UTF-8; it is a part of a key in the database."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that a client has sent, for the `inputs` of jobs."""

    id: UploadId
    key_id: KeyId | None
    size_bytes: int
    is_tar: bool
    created_at: datetime
    expires_at: datetime
    """From then on no new job may name it."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job has left. `path` is relative to the job's directory, normal, and in nobody's way:
    it is never used as a path on this machine. `file` names its content."""

    path: str
    size_bytes: int
    mode: int
    """The permission bits."""
    file: str


class UploadRows(Protocol):
    async def add(self, upload: Upload) -> None: ...

    async def get(self, upload_id: UploadId) -> Upload | None: ...

    async def known(self, ids: Collection[UploadId]) -> Sequence[Upload]:
        """Those of `ids` that there are."""
        ...

    async def remove(self, upload_id: UploadId) -> bool:
        """Whether it was there."""
        ...


class ArtifactRows(Protocol):
    async def replace(self, job_id: JobId, artifacts: Sequence[Artifact]) -> None:
        """Make these the job's artifacts, instead of those that an earlier attempt left. Nothing where the job is gone."""
        ...

    async def list(self, job_id: JobId) -> Sequence[Artifact]:
        """By path."""
        ...

    async def get(self, job_id: JobId, path: str) -> Artifact | None: ...
