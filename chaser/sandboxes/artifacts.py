"""The artifacts of jobs as they are kept: a row each, and their contents in a folder for each job."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from chaser.blocking import to_its_end
from chaser.ids import JobId
from chaser.sandboxes.files import Artifact, ArtifactRows


class Artifacts:
    def __init__(self, rows: ArtifactRows, folder: Path) -> None:
        self._rows = rows
        self._folder = folder

    async def list(self, job_id: JobId) -> Sequence[Artifact]:
        return await self._rows.list(job_id)

    async def get(self, job_id: JobId, path: str) -> Artifact | None:
        return await self._rows.get(job_id, path)

    def content(self, job_id: JobId, artifact: Artifact) -> Path:
        return self._folder / job_id / artifact.file

    async def folder(self, job_id: JobId) -> Path:
        """Where new contents of this job go. They count once `replace` has named them."""
        folder = self._folder / job_id
        await to_its_end(lambda: folder.mkdir(mode=0o700, parents=True, exist_ok=True))
        return folder

    async def replace(self, job_id: JobId, artifacts: Sequence[Artifact]) -> None:
        """Make these the job's artifacts; what an earlier time has left is removed."""
        await self._rows.replace(job_id, artifacts)
        names = {artifact.file for artifact in artifacts}
        await to_its_end(lambda: _keep_only(self._folder / job_id, names))


def _keep_only(folder: Path, names: set[str]) -> None:
    for entry in folder.iterdir():
        if entry.name not in names:
            entry.unlink(missing_ok=True)
    if not names:
        shutil.rmtree(folder, ignore_errors=True)
