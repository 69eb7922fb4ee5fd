"""All that works on workspaces, on an engine to test on and a real SQLite store."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, insert

from chaser.clock import SystemClock
from chaser.errors import Refused
from chaser.ids import (
    JobId,
    SandboxId,
    SnapshotId,
    WorkerId,
    WorkspaceId,
    new_id,
    new_job_id,
    new_sandbox_id,
    new_snapshot_id,
    new_workspace_id,
)
from chaser.jobs.ports import SandboxRow
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import STDOUT, Engine, Image
from chaser.sandboxes.files import Upload
from chaser.sandboxes.inside import inside
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.sizes import Sizes
from chaser.sandboxes.snapshots import Snapshots
from chaser.sandboxes.spec import Isolation, PullPolicy, SandboxSpec, WorkspaceMode, WorkspaceUse
from chaser.sandboxes.tools import Errand, Tools
from chaser.sandboxes.traffic import Traffic
from chaser.sandboxes.uploads import UploadLimits, Uploads
from chaser.sandboxes.volumes import Volumes
from chaser.sandboxes.workspace_files import FileLimits, WorkspaceFiles
from chaser.sandboxes.workspaces import Workspace
from chaser.store.engines import sqlite_url
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from chaser.store.tables import jobs
from tests.engines import SPEC, Ear, Site

SEALING = SealingKey(bytes(range(32)))
CLOCK = SystemClock()


@dataclass(frozen=True)
class OnEngine:
    """The images that the engine has; no registry."""

    engine: Engine

    async def ensure(self, reference: str, policy: PullPolicy, registries: frozenset[str] | None) -> Image:
        found = await self.engine.image(reference)
        if found is None:
            raise Refused(Reason.IMAGE_NOT_FOUND, f"There is no image {reference}.")
        return found


@dataclass
class Workshop:
    site: Site
    store: Store
    removals: Removals
    tools: Tools
    sizes: Sizes
    volumes: Volumes
    uploads: Uploads
    files: WorkspaceFiles
    snapshots: Snapshots
    worker: WorkerId

    async def workspace(self, name: str = "main", **changes: object) -> Workspace:
        now = CLOCK.now()
        new = replace(Workspace(new_workspace_id(now), name, now, now), **changes)  # pyright: ignore[reportArgumentType]
        made = await self.store.workspaces.add(new)
        assert made is not None
        return made

    async def again(self, workspace: Workspace) -> Workspace:
        """As it is now."""
        found = await self.store.workspaces.get(workspace.id)
        assert found is not None
        return found

    def new_snapshot_id(self) -> SnapshotId:
        return new_snapshot_id(CLOCK.now())

    async def errand(self) -> Errand:
        """A job's attempt."""
        job_id = new_job_id(CLOCK.now())

        def write(connection: Connection) -> None:
            now = CLOCK.now()
            row: dict[str, object] = {
                "id": job_id,
                "kind": "workspace.write",
                "status": "queued",
                "input": {},
            }
            row |= {"attempt": 0, "max_attempts": 3, "priority": 0, "created_at": now, "run_at": now}
            row |= {"queued_at": now, "ready": False, "retries": 0, "history": 0}
            connection.execute(insert(jobs), row)

        await self.store.database.write(write)
        return Errand(JobId(job_id), 1)

    async def sandbox(self) -> SandboxId:
        """One that is named, and not made yet."""
        row = SandboxRow(
            new_sandbox_id(CLOCK.now()),
            None,
            None,
            self.worker,
            (await self.site.engine.info()).id,
            CLOCK.now(),
        )
        await self.store.workspaces.name_tool(row)
        return row.id

    async def run(
        self,
        workspace: WorkspaceId,
        command: str,
        *,
        mode: WorkspaceMode = WorkspaceMode.EXCLUSIVE,
        isolation: Isolation = Isolation.STANDARD,
    ) -> str:
        """What a job says that runs in the workspace. Its sandbox is gone afterwards."""
        spec = replace(SPEC, workspace=WorkspaceUse(workspace, mode), isolation=isolation)
        sandbox = await self.sandbox()
        said = await self.run_with(await self.volumes.ready(sandbox, spec), command, spec, sandbox)
        await self.removals.removed(sandbox)
        return said

    async def run_with(
        self, volumes: Mapping[str, str], command: str, spec: SandboxSpec, sandbox: SandboxId
    ) -> str:
        container, ear = await self.site.started_with(
            volumes, "/bin/sh", "-c", f"cd /workspace && {{ {command}\n}} 2>&1", spec=spec, sandbox=sandbox
        )
        await ear.end()
        await self.site.engine.exited(container)
        return _said(ear)

    async def put(
        self, workspace: Workspace, path: str | bytes, content: bytes, *, is_tar: bool = False
    ) -> None:
        """As a job of the API does it."""
        upload = await self.upload(content, is_tar=is_tar)
        await self.files.write(await self.errand(), workspace.id, inside(path), upload.id)

    async def remove(self, workspace: Workspace, path: str | bytes) -> None:
        await self.files.remove(await self.errand(), workspace.id, inside(path))

    async def upload(self, content: bytes, *, is_tar: bool = False) -> Upload:
        return await self.uploads.receive(_pieces(content), is_tar=is_tar, key_id=None)

    async def read(self, workspace: Workspace, path: str | bytes = "") -> bytes:
        async with self.files.opened(await self.again(workspace), inside(path)) as opened:
            content = b"".join([piece async for piece in opened.pieces])
            assert len(content) == opened.size_bytes
            return content

    async def names(self, workspace: Workspace, path: str | bytes = "") -> list[bytes]:
        return [entry.name for entry in await self.files.list(await self.again(workspace), inside(path))]


def _said(ear: Ear) -> str:
    return ear.heard[STDOUT].decode("utf-8", "surrogateescape").strip()


async def _pieces(content: bytes) -> AsyncGenerator[bytes]:
    for at in range(0, len(content), 100_000):
        yield content[at : at + 100_000]


def equip(
    site: Site,
    store: Store,
    directory: Path,
    *,
    image: str | None = None,
    limits: FileLimits | None = None,
    watch_interval: float = 1.0,
) -> Workshop:
    """`directory` takes the uploads."""
    folder = directory / "uploads"
    folder.mkdir(exist_ok=True)
    worker = WorkerId(new_id("wrk", CLOCK.now()))
    engine, traffic = site.engine, Traffic()
    removals = Removals(engine, CLOCK, store.jobs.sandbox_gone, traffic)
    tools = Tools(
        engine,
        site.instance,
        OnEngine(engine),
        store.workspaces,
        removals,
        CLOCK,
        worker,
        image=image or site.reference,
    )
    sizes = Sizes(store.workspaces, tools, traffic, CLOCK)
    volumes = Volumes(engine, store.workspaces, tools, sizes, CLOCK, watch_interval=watch_interval)
    uploads = Uploads(store.uploads, folder, CLOCK, UploadLimits(), lambda: None)
    files = WorkspaceFiles(volumes, tools, uploads, limits or FileLimits(time=timedelta(seconds=30)))
    snapshots = Snapshots(engine, store.workspaces, volumes, tools, CLOCK, time=timedelta(seconds=60))
    return Workshop(site, store, removals, tools, sizes, volumes, uploads, files, snapshots, worker)


@asynccontextmanager
async def workshop(
    site: Site, directory: Path, *, image: str | None = None, limits: FileLimits | None = None
) -> AsyncGenerator[Workshop]:
    store = open_store(sqlite_url(directory / "workshop.db"), [SEALING], CLOCK)
    made = equip(site, store, directory, image=image, limits=limits)
    try:
        yield made
    finally:
        await made.removals.drain(30)
        await store.close()
