"""Every check of the installation, each with its mend. Wide like `chaser.app`: it looks at all the parts, and changes none."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from chaser import doctor_host as host
from chaser.clock import SystemClock
from chaser.config import Settings
from chaser.errors import ConfigError, Unavailable
from chaser.findings import Finding, failed, ok, warning
from chaser.ids import InstanceId
from chaser.profiles import DEFAULT, DEFAULT_IMAGE
from chaser.runners.versions import Standing, Unknown, finding, version_of
from chaser.sandboxes.engine import EngineInfo, Image
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.store.database import Database
from chaser.store.engines import connect
from chaser.store.schema import HEAD, revision

Ask = Callable[[Image], Awaitable[Standing]]
"""How long GitHub serves the runner that an image has."""

_OLDEST_ENGINE = (20, 10)
_LAYERED = frozenset({"overlay2", "overlayfs", "fuse-overlayfs", "btrfs", "zfs"})
"""Storage drivers on which a new sandbox costs no copy of its image."""
_SQLITE = "sqlite:///"


async def inspect_installation(settings: Settings) -> Sequence[Finding]:
    """In the order in which a person would mend things."""
    async with _engine(settings) as engine:
        about_engine = await _of_engine(settings, engine)
    return (
        host.python(),
        *about_engine,
        host.data_dir(settings),
        host.disk("data disk", settings.data_dir, settings),
        await _store(settings),
        await host.clock(settings, SystemClock().now()),
        await host.port(settings),
        host.firewall(settings, os.environ),
    )


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncGenerator[DockerEngine]:
    engine = DockerEngine(settings.docker_host, InstanceId("doctor"))
    try:
        yield engine
    finally:
        await engine.close()


async def _of_engine(settings: Settings, engine: DockerEngine) -> Sequence[Finding]:
    try:
        info = await engine.info()
        images = [await _image(settings, engine), await _runner_image(settings, engine)]
    except Unavailable as error:
        return [_no_engine(engine, error)]
    space = [host.disk("engine disk", Path(info.root_dir), settings)] if info.local else []
    return [
        _version(info, engine.host),
        _runtimes(settings, info),
        _storage(info),
        _cgroups(info),
        *space,
        *images,
    ]


def _no_engine(engine: DockerEngine, error: Unavailable) -> Finding:
    mend = (
        "Start it (systemctl start docker), give this user access to its socket (group docker), "
        "or set CHASER_DOCKER_HOST to where it listens."
    )
    return failed("docker", f"The engine at {engine.host} does not answer: {error.message}", mend)


def _version(info: EngineInfo, where: str) -> Finding:
    kind = "rootless " if info.rootless else ""
    found = f"{kind}Docker {info.version} on {info.architecture} at {where}"
    numbers = tuple(int(part) for part in info.version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST_ENGINE:
        return failed(
            "docker", found, "Install Docker 20.10 or later (on Debian: apt-get install docker.io)."
        )
    return ok("docker", found)


def _runtimes(settings: Settings, info: EngineInfo) -> Finding:
    wanted = {profile.runtime for profile in settings.profiles.values() if profile.runtime is not None}
    missing = sorted(wanted - info.runtimes)
    found = f"runtime {info.default_runtime}, of {', '.join(sorted(info.runtimes))}"
    if missing:
        mend = "Install it and name it in the engine's daemon.json, or change the profile's runtime."
        return failed("runtime", f"The engine has no runtime {', '.join(missing)}", mend)
    return ok("runtime", found)


def _storage(info: EngineInfo) -> Finding:
    if info.storage_driver in _LAYERED:
        return ok("storage", f"storage driver {info.storage_driver}")
    mend = "Set the engine's storage driver to overlay2, on a file system that can carry it."
    return warning(
        "storage", f"storage driver {info.storage_driver}: each sandbox copies its whole image", mend
    )


def _cgroups(info: EngineInfo) -> Finding:
    return ok("cgroups", f"cgroup version {info.cgroup_version}")


async def _image(settings: Settings, engine: DockerEngine) -> Finding:
    reference = settings.profiles[DEFAULT].image
    image = await engine.image(reference)
    if image is not None:
        return ok("image", f"{reference} is present ({image.id[:19]})")
    if reference == DEFAULT_IMAGE:
        mend = (
            "Build it in a clone of the project (make image), or name another one in profiles.default.image."
        )
        return failed("image", f"{reference} is missing, and no registry has it", mend)
    mend = f"Fetch it now with: docker pull {reference}"
    return warning("image", f"{reference} is not present; the first run will pull it", mend)


async def _runner_image(settings: Settings, engine: DockerEngine) -> Finding:
    reference = settings.profiles[DEFAULT].runner_image
    if not settings.github.webhook_secrets and await engine.image(reference) is None:
        return ok("runner image", "not needed: GitHub is not configured")
    return await _image_of_runners(reference, engine)


async def inspect_for_runners(settings: Settings, ask: Ask | None) -> Sequence[Finding]:
    """What runners need on this machine; `ask` of none: there is nobody to ask GitHub as."""
    images = sorted({profile.runner_image for profile in settings.profiles.values()})
    async with _engine(settings) as engine:
        try:
            info = await engine.info()
            return [
                _version(info, engine.host),
                *[await _image_of_runners(each, engine, ask) for each in images],
            ]
        except Unavailable as error:
            return [_no_engine(engine, error)]


async def _image_of_runners(reference: str, engine: DockerEngine, ask: Ask | None = None) -> Finding:
    image = await engine.image(reference)
    if image is not None and ask is not None:
        return finding(reference, await ask(image))
    if image is not None:
        return _runner_in(image, reference)
    mend = f"Fetch it now with: docker pull {reference}"
    return warning("runner image", f"{reference} is not present; the first runner will pull it", mend)


def _runner_in(image: Image, reference: str) -> Finding:
    version = version_of(image.labels)
    if isinstance(version, Unknown):
        return finding(reference, version)
    return ok("runner image", f"{reference} is present, with runner {version}")


async def _store(settings: Settings) -> Finding:
    url = settings.database.reveal()
    kind = "SQLite" if url.startswith(_SQLITE) else "PostgreSQL"
    if kind == "SQLite" and not await asyncio.to_thread(Path(url.removeprefix(_SQLITE)).exists):
        return ok("store", "the SQLite database will be made at the first start")
    try:
        database = Database(await asyncio.to_thread(connect, url))
        try:
            found = await database.read(revision)
        finally:
            await database.close()
    except (ConfigError, Unavailable) as error:
        return failed("store", f"the {kind} database cannot be opened: {error}", "Check CHASER_DATABASE_URL.")
    if found is None:
        return ok("store", f"{kind} answers; its tables will be made at the first start")
    if found == HEAD:
        return ok("store", f"{kind}, schema {found}")
    mend = "Start this version's service once to bring it up to date; if the schema is newer, run that newer version."
    return warning("store", f"{kind}, schema {found}; this program's is {HEAD}", mend)


async def images_present(settings: Settings, references: Sequence[str]) -> frozenset[str]:
    """Which of these images the engine has. Raises `Unavailable`."""
    async with _engine(settings) as engine:
        return frozenset([each for each in references if await engine.image(each) is not None])
