"""What stands under the queue, put together: an engine with all that a launch needs of it, and the places of files."""

from collections.abc import Collection
from dataclasses import dataclass, field

from chaser.clock import Clock, SystemClock
from chaser.config import Settings
from chaser.headroom import Headroom, available_memory
from chaser.ids import WorkerId, new_id
from chaser.profiles import DEFAULT
from chaser.runners.access import Access
from chaser.sandboxes.artifacts import Artifacts
from chaser.sandboxes.courier import Courier
from chaser.sandboxes.deadlines import Deadlines
from chaser.sandboxes.engines.bridge import DockerBridge
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.engines.image_names import DockerImageNames
from chaser.sandboxes.engines.logins import DockerLogins
from chaser.sandboxes.engines.pulls import Pulls
from chaser.sandboxes.harvest import HarvestLimits
from chaser.sandboxes.host import Host
from chaser.sandboxes.image_relief import ImageRelief
from chaser.sandboxes.launcher import Launcher
from chaser.sandboxes.networks import EngineNetworks
from chaser.sandboxes.orphans import Orphans
from chaser.sandboxes.pool import Pool
from chaser.sandboxes.pulled_images import PulledImages
from chaser.sandboxes.rack import wanted
from chaser.sandboxes.registry import AllowList, Registries
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.shelf import ImageShelf, PullDeadlines
from chaser.sandboxes.sizes import Sizes
from chaser.sandboxes.snapshots import Snapshots
from chaser.sandboxes.tools import Tools
from chaser.sandboxes.traffic import Traffic
from chaser.sandboxes.uploads import UploadLimits, Uploads
from chaser.sandboxes.volumes import Volumes
from chaser.sandboxes.workspace_files import FileLimits, WorkspaceFiles
from chaser.space import FreeSpace, Watermarks
from chaser.store.store import Store
from chaser.webhooks.signature import ChangingSignatures

LOOK_AT_DISKS = 5.0
"""Seconds between two looks at how much a sandbox, or a workspace, holds."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What must be opened and closed by whoever asks for the rest. `seat` names the data directory."""

    settings: Settings
    store: Store
    engine: DockerEngine
    pulls: Pulls
    access: Access
    signatures: ChangingSignatures
    seat: str
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Grounds:
    worker: WorkerId
    host: Host
    pool: Pool
    networks: EngineNetworks
    sizes: Sizes
    files: WorkspaceFiles
    snapshots: Snapshots
    uploads: Uploads
    artifacts: Artifacts
    courier: Courier
    space: FreeSpace
    image_relief: ImageRelief
    orphans: Orphans


def ground(parts: Parts) -> Grounds:
    settings, store, engine, clock = parts.settings, parts.store, parts.engine, parts.clock
    worker = WorkerId(new_id("wrk", clock.now()))
    traffic = Traffic()
    removals = Removals(engine, clock, store.jobs.sandbox_gone, traffic)
    images = _images(parts)
    tools = Tools(
        engine,
        store.instance_id,
        images,
        store.workspaces,
        removals,
        clock,
        worker,
        image=settings.workspaces.tool_image or settings.profiles[DEFAULT].image,
    )
    sizes = Sizes(store.workspaces, tools, traffic, clock)
    volumes = Volumes(engine, store.workspaces, tools, sizes, clock, watch_interval=LOOK_AT_DISKS)
    networks = EngineNetworks(DockerBridge(engine, store.instance_id))
    launcher = _launcher(parts, traffic)
    space = FreeSpace(_watermarks(settings), clock, settings.data_dir, settings.files_dir)
    pool = Pool(
        wanted(settings.profiles.values()),
        engine,
        images,
        networks,
        launcher,
        removals,
        store.jobs,
        clock,
        worker,
        Headroom(
            settings.limits.free_memory_bytes, space.shortage, available_memory if engine.local else None
        ),
    )
    uploads = Uploads(
        store.uploads,
        settings.files_dir / "uploads",
        clock,
        UploadLimits(settings.files.upload_bytes, settings.retention.uploads),
        space.check,
    )
    artifacts = Artifacts(store.artifacts, settings.files_dir / "artifacts")
    return Grounds(
        worker=worker,
        host=Host(engine, images, networks, volumes, launcher, removals, pool, disk_interval=LOOK_AT_DISKS),
        pool=pool,
        networks=networks,
        sizes=sizes,
        files=WorkspaceFiles(volumes, tools, uploads, _file_limits(settings)),
        snapshots=Snapshots(
            engine, store.workspaces, volumes, tools, clock, time=settings.workspaces.snapshot_time
        ),
        uploads=uploads,
        artifacts=artifacts,
        courier=Courier(engine, uploads, artifacts, _harvest_limits(settings)),
        space=space,
        image_relief=ImageRelief(
            engine, DockerImageNames(engine.run), store.pulled_images, clock, _named_images(settings)
        ),
        orphans=Orphans(
            engine, store.instance_id, store.jobs.sandboxes_living, store.workspaces.kept, removals
        ),
    )


def _watermarks(settings: Settings) -> Watermarks:
    limits = settings.limits
    return Watermarks(limits.free_space_bytes, limits.disk_clean_percent, limits.disk_full_percent)


def _named_images(settings: Settings) -> Collection[str]:
    """Those that the configuration names."""
    profiles = settings.profiles.values()
    tool = settings.workspaces.tool_image
    return {
        *(image for each in profiles for image in (each.image, each.runner_image)),
        *([] if tool is None else [tool]),
    }


def _images(parts: Parts) -> ImageShelf:
    settings = parts.settings
    return ImageShelf(
        parts.engine,
        parts.pulls,
        Registries(settings.registries.values(), DockerLogins()),
        PulledImages(parts.store.pulled_images, parts.engine, parts.clock),
        allowed=AllowList(settings.images.allow),
        deadlines=PullDeadlines(settings.deadlines.pull, settings.deadlines.pull_stall),
    )


def _launcher(parts: Parts, traffic: Traffic) -> Launcher:
    settings = parts.settings
    return Launcher(
        parts.engine,
        parts.store.instance_id,
        clock=parts.clock,
        traffic=traffic,
        max_starting=settings.limits.max_starting,
        deadlines=Deadlines(start=settings.deadlines.start),
        # The engine's log must hold all that is kept: it is what is read on from when an attach is lost.
        log_max_bytes=settings.limits.output_keep_bytes * 5 // 4 + (8 << 20),
    )


def _file_limits(settings: Settings) -> FileLimits:
    limits = settings.workspaces
    return FileLimits(limits.file_bytes, limits.tar_bytes, limits.file_time)


def _harvest_limits(settings: Settings) -> HarvestLimits:
    files = settings.files
    return HarvestLimits(
        files.artifacts_count, files.artifacts_bytes, files.artifacts_scan_bytes, files.artifacts_time
    )
