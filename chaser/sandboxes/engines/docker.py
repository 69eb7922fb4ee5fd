"""The Docker engine, through the `docker` package: the only place that knows it."""

import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from chaser.errors import ConfigError, Refused, Unavailable
from chaser.ids import InstanceId, SandboxId
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import (
    Chunk,
    ContainerId,
    ContainerOptions,
    ContainerState,
    EngineInfo,
    ExitCause,
    Image,
    Receiver,
    VolumeOptions,
)
from chaser.sandboxes.engines.archives import Archives
from chaser.sandboxes.engines.attachment import StreamAttachment, adopt, duplicate
from chaser.sandboxes.engines.calls import Calls
from chaser.sandboxes.engines.ceiling import nofile_ceiling
from chaser.sandboxes.engines.creation import creation
from chaser.sandboxes.engines.exits import EventFeed, Exits
from chaser.sandboxes.engines.log_connection import read_log
from chaser.sandboxes.engines.volumes import DockerVolumes
from chaser.sandboxes.labels import INSTANCE, SANDBOX, container_name

T = TypeVar("T")

GONE_OR_GOING = frozenset({404, 409})
"""404: there is no such container; 409: it has ended, or its removal is under way."""

Client = Any
"""`docker.APIClient`, whose published types are too thin to check against."""

UNIX = "unix://"
DEFAULT_HOST = "unix:///var/run/docker.sock"


class DockerEngine:
    """One Docker engine. Nothing is asked of it before the first call, so that the service starts without it."""

    def __init__(self, host: str | None, instance: InstanceId) -> None:
        self.host = host or DEFAULT_HOST
        if not self.host.startswith((UNIX, "tcp://")):
            raise ConfigError((f"docker_host: {self.host} is neither unix://… nor tcp://…",))
        self.local = self.host.startswith(UNIX)
        """Whether it is this machine's."""
        self._instance = instance
        self._calls = Calls()
        self._volumes = DockerVolumes(self.run)
        self._archives = Archives(self.host)
        self._client: Client | None = None
        self._exits = Exits(self._open_events, self._has_ended)
        self._names: dict[ContainerId, str] = {}
        self._info: EngineInfo | None = None
        self._info_of = 0

    def start(self) -> None:
        """Begin to follow the engine's events."""
        self._exits.start()

    async def close(self) -> None:
        await self._exits.stop()
        self._calls.close()
        await self._archives.close()
        if self._client is not None:
            self._client.close()

    async def run(self, work: Callable[[Client], T]) -> T:
        """Run one piece of blocking work with the SDK, in the bounded pool and with its deadline."""
        return await self._calls.run(lambda: work(self._connected()))

    async def ping(self) -> None:
        # Nothing that it began must be undone: whoever asks with a deadline of their own gets away in time.
        await self._calls.run(lambda: self._connected().ping(), patient=False)

    async def info(self) -> EngineInfo:
        """Asked once per connection of the event stream: another engine, or another version, means a new one."""
        if self._info is None or self._info_of != self._exits.connections:
            self._info_of = self._exits.connections
            self._info = await self._ask_info()
        return self._info

    async def _ask_info(self) -> EngineInfo:
        answer = cast("dict[str, Any]", await self.run(lambda client: client.info()))
        return EngineInfo(
            id=answer["ID"],
            version=answer["ServerVersion"],
            runtimes=frozenset(answer["Runtimes"]),
            default_runtime=answer["DefaultRuntime"],
            storage_driver=answer["Driver"],
            cgroup_version=answer.get("CgroupVersion", "1"),
            root_dir=answer["DockerRootDir"],
            architecture=answer["Architecture"],
            rootless="name=rootless" in answer.get("SecurityOptions", ()),
            local=self.local,
            nofile_ceiling=nofile_ceiling(self.host.removeprefix(UNIX)) if self.local else None,
        )

    async def image(self, reference: str) -> Image | None:
        try:
            found = cast("dict[str, Any]", await self.run(lambda client: client.inspect_image(reference)))
        except NotFound:
            return None
        config = cast("dict[str, Any]", found.get("Config") or {})
        digests = cast("list[str]", found.get("RepoDigests") or [])
        return Image(
            id=found["Id"],
            digest=digests[0].partition("@")[2] if digests else None,
            user=config.get("User") or "",
            volumes=frozenset(config.get("Volumes") or {}),
            working_dir=config.get("WorkingDir") or "",
            labels=dict(config.get("Labels") or {}),
        )

    async def image_ids(self) -> frozenset[str]:
        found = await self.run(lambda client: client.images(quiet=True))
        return frozenset(cast("list[str]", found))

    async def create(self, options: ContainerOptions) -> ContainerId:
        try:
            answer = await self.run(
                lambda client: client.create_container_from_config(creation(options), options.name)
            )
        except ImageNotFound as error:
            raise Refused(
                Reason.IMAGE_NOT_FOUND, "The image was removed from the engine just now; try again."
            ) from error
        except APIError as error:
            raise Refused(
                Reason.IMAGE_UNUSABLE, f"The engine refuses this sandbox: {error.explanation}"
            ) from error
        container = ContainerId(cast("str", answer["Id"]))
        self._names[container] = options.name
        self._exits.watch(container)
        return container

    async def attach(self, container: ContainerId, receiver: Receiver) -> StreamAttachment:
        def connect(client: Client) -> Any:
            opened: Any = client.attach_socket(
                container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            connection = duplicate(opened.fileno())
            opened._response.raw.close()  # closes the SDK's own descriptor, which `opened.close()` does not
            return connection

        return await adopt(await self.run(connect), receiver)

    async def start_container(self, container: ContainerId) -> None:
        try:
            await self.run(lambda client: client.start(container))
        except APIError as error:
            raise Refused(
                Reason.IMAGE_UNUSABLE, f"The engine cannot start this sandbox: {error.explanation}"
            ) from error
        except Unavailable as error:
            raise await self._why_not_started(container, error) from error

    async def _why_not_started(self, container: ContainerId, error: Unavailable) -> Unavailable:
        """The engine answers 500 for its own faults and for the sandbox's (a user that the image does not know) alike,
        and notes both in the container. So it is worth another try, and its words are worth telling."""
        try:
            found = await self.run(lambda client: client.inspect_container(container))
        except APIError:
            return error
        words = cast("str", found["State"]["Error"])
        if not words:
            return error
        return Unavailable(Reason.IMAGE_UNUSABLE, f"The engine cannot start this sandbox: {words}")

    async def kill(self, container: ContainerId) -> None:
        await self._unless_gone(lambda client: client.kill(container))

    async def remove(self, container: ContainerId) -> None:
        try:
            await self.run(lambda client: client.remove_container(container, v=True, force=True))
        except APIError as error:
            match error.status_code:
                case 404:
                    pass
                case 409:
                    await self._removed_by_another(container)
                case _:
                    raise
        self._forget(container)

    async def _removed_by_another(self, container: ContainerId) -> None:
        """A removal of it is under way: wait for its end."""
        with contextlib.suppress(NotFound):  # it has ended between the two calls
            await self.run(lambda client: client.wait(container, condition="removed", timeout=60))

    async def state(self, container: ContainerId, *, with_size: bool = False) -> ContainerState:
        def inspect(client: Client) -> dict[str, Any]:
            # The SDK's own method cannot ask for the size.
            url = client._url("/containers/{0}/json", container)
            return client._result(client._get(url, params={"size": with_size}), True)

        try:
            found = await self.run(inspect)
        except NotFound:
            return ContainerState(ExitCause.GONE)
        return _state(found)

    async def exited(self, container: ContainerId) -> None:
        await self._exits.wait(container)

    def log(self, container: ContainerId) -> AsyncGenerator[Chunk]:
        return read_log(self.host, container)

    async def signal(self, container: ContainerId, name: str) -> None:
        await self._unless_gone(lambda client: client.kill(container, name))

    async def find(self, name: str) -> ContainerId | None:
        try:
            found = cast("dict[str, Any]", await self.run(lambda client: client.inspect_container(name)))
        except NotFound:
            return None
        if found["Name"] != f"/{name}":
            return None  # the engine takes the beginning of an id for a name too
        container = ContainerId(cast("str", found["Id"]))
        self._names[container] = name
        return container

    async def sandboxes(self, instance: InstanceId) -> Sequence[tuple[ContainerId, SandboxId]]:
        label = f"{INSTANCE}={instance}"
        found = await self.run(lambda client: client.containers(all=True, filters={"label": [label]}))
        return [
            (ContainerId(cast("str", each["Id"])), sandbox)
            for each in cast("list[dict[str, Any]]", found)
            if (sandbox := _ours(each)) is not None
        ]

    async def create_volume(self, options: VolumeOptions) -> None:
        await self._volumes.create(options)

    async def volume_path(self, name: str) -> str | None:
        return await self._volumes.path(name)

    async def remove_volume(self, name: str) -> None:
        await self._volumes.remove(name)

    async def volumes(self, instance: InstanceId) -> Sequence[str]:
        return await self._volumes.names(instance)

    def get_archive(self, container: ContainerId, path: str) -> AsyncGenerator[bytes]:
        return self._archives.get(container, path)

    async def put_archive(self, container: ContainerId, path: str, tar: AsyncIterable[bytes]) -> bool:
        return await self._archives.put(container, path, tar)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = docker.APIClient(base_url=self.host, timeout=60, max_pool_size=32)
            # The engine is not reached through a proxy; looking for one costs a fifth of each call.
            self._client.trust_env = False
        return self._client

    async def _unless_gone(self, work: Callable[[Client], object]) -> None:
        try:
            await self.run(work)
        except APIError as error:
            if error.status_code not in GONE_OR_GOING:
                raise

    def _forget(self, container: ContainerId) -> None:
        """By its id, or by its name."""
        for each in [each for each, name in self._names.items() if container in {each, name}]:
            del self._names[each]
            self._exits.forget(each)

    async def _has_ended(self, container: ContainerId) -> bool:
        return (await self.state(container)).cause in {ExitCause.EXITED, ExitCause.GONE}

    def _open_events(self, since: int) -> EventFeed:
        filters = {"type": "container", "event": ["die", "destroy"], "label": f"{INSTANCE}={self._instance}"}
        client: Client = docker.APIClient(base_url=self.host, timeout=60)
        return _Feed(client, client.events(since=since, filters=filters, decode=True))


class _Feed:
    """The SDK's event stream, reduced to container ids. It has a connection of its own, closed by whoever reads."""

    def __init__(self, client: Client, stream: Any) -> None:
        self._client = client
        self._stream = stream
        self._socket = duplicate(stream._response.raw._fp.fp.raw.fileno())

    def __iter__(self) -> Iterator[ContainerId]:
        try:
            for event in cast("Iterator[dict[str, Any]]", self._stream):
                yield ContainerId(event["Actor"]["ID"])
        finally:
            self._stream._response.close()
            self._client.close()
            self._socket.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_RDWR)


def _state(found: dict[str, Any]) -> ContainerState:
    state = found["State"]
    size = found.get("SizeRw")
    match state["Status"]:
        case "created":
            return ContainerState(ExitCause.NEVER_STARTED, disk_bytes=size)
        case "exited" | "dead" | "removing":
            return ContainerState(ExitCause.EXITED, state["ExitCode"], state["OOMKilled"], size)
        case _:
            return ContainerState(ExitCause.RUNNING, disk_bytes=size)


def _ours(found: dict[str, Any]) -> SandboxId | None:
    """The sandbox's id, if name and label agree. An image's own labels are merged into a container's, so that the
    label alone proves nothing."""
    sandbox = SandboxId(found["Labels"].get(SANDBOX, ""))
    return sandbox if f"/{container_name(sandbox)}" in found["Names"] else None
