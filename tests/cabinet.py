"""A container's files as a folder, with the engine's archives of it as Python's tarfile makes and unpacks them."""

import io
import tarfile
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaser.errors import Unavailable
from chaser.ids import JobId, UploadId
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import ContainerId
from chaser.sandboxes.files import Artifact, Upload

CONTAINER = ContainerId("container")


@dataclass
class Cabinet:
    """`away`: how often an archive breaks off in its middle before one comes whole."""

    root: Path
    put: list[tuple[str, tarfile.TarInfo]] = field(default_factory=list[tuple[str, tarfile.TarInfo]])
    """What was put, and where."""
    looked_at: list[str] = field(default_factory=list[str])
    away: int = 0

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def file(self, path: str, content: bytes = b"", mode: int = 0o644) -> Path:
        made = self.path(path)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(content)
        made.chmod(mode)
        return made

    async def get_archive(self, container: ContainerId, path: str) -> AsyncGenerator[bytes]:
        self.looked_at.append(path)
        found = self.path(path)
        if not found.exists() and not found.is_symlink():
            return
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w", errors="surrogateescape") as tar:
            tar.add(found, arcname=Path(path).name or "/")
        whole = content.getvalue()
        if self.away:
            self.away -= 1
            yield whole[: len(whole) // 2]
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, "The engine is away, as the test wants it.")
        for at in range(0, len(whole), 1000):
            yield whole[at : at + 1000]

    async def put_archive(self, container: ContainerId, path: str, tar: AsyncIterable[bytes]) -> bool:
        if not self.path(path).is_dir():
            return False
        content = io.BytesIO(b"".join([piece async for piece in tar]))
        with tarfile.open(fileobj=content, errors="surrogateescape") as opened:
            for member in opened.getmembers():
                self.put.append((path, member))
                opened.extract(member, self.path(path), filter="fully_trusted", numeric_owner=True)
        return True


@dataclass
class Rows:
    """Rows of uploads and artifacts, in memory. `away`: how often the store does not answer before it does."""

    uploads: dict[UploadId, Upload] = field(default_factory=dict[UploadId, Upload])
    artifacts: dict[JobId, list[Artifact]] = field(default_factory=dict[JobId, list[Artifact]])
    away: int = 0

    def answer(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable(Reason.STORE_UNAVAILABLE, "The store is away, as the test wants it.")


@dataclass
class UploadsInMemory:
    rows: Rows

    async def add(self, upload: Upload) -> None:
        self.rows.answer()
        self.rows.uploads[upload.id] = upload

    async def get(self, upload_id: UploadId) -> Upload | None:
        return self.rows.uploads.get(upload_id)

    async def known(self, ids: Collection[UploadId]) -> list[Upload]:
        return [upload for upload in self.rows.uploads.values() if upload.id in ids]

    async def remove(self, upload_id: UploadId) -> bool:
        return self.rows.uploads.pop(upload_id, None) is not None


@dataclass
class ArtifactsInMemory:
    rows: Rows

    async def replace(self, job_id: JobId, artifacts: Sequence[Artifact]) -> None:
        self.rows.answer()
        self.rows.artifacts[job_id] = list(artifacts)

    async def list(self, job_id: JobId) -> "list[Artifact]":
        return sorted(self.rows.artifacts.get(job_id, []), key=lambda each: each.path)

    async def get(self, job_id: JobId, path: str) -> Artifact | None:
        return next((each for each in await self.list(job_id) if each.path == path), None)
