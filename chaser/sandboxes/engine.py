"""What the launcher needs of a container engine. `engines.docker` is the real one, `engines.fake` the one for tests.

Every call has a deadline of its own and raises `Unavailable(engine_unavailable)` when the engine does not answer:
"unreachable" is never "absent".
"""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType, Protocol

from chaser.ids import InstanceId, SandboxId

ContainerId = NewType("ContainerId", str)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine says of itself. `id` is Docker's own `info.ID`."""

    id: str
    version: str
    runtimes: frozenset[str]
    default_runtime: str
    storage_driver: str
    cgroup_version: str
    root_dir: str
    architecture: str
    rootless: bool
    local: bool
    """Whether it shares this machine's file system and network, so that `root_dir` and firewall rules mean something."""
    nofile_ceiling: int | None
    """The highest open-file limit that it can grant; none: any."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is present. `id` is the engine's, `digest` the registry's (none for one that was never in a registry)."""

    id: str
    digest: str | None
    user: str
    volumes: frozenset[str]
    working_dir: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """What it says of itself, and inherits from the images below it."""


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """All that is fixed at creation, as plain values; made by `hardening.options`, mapped by the engine."""

    name: str
    image_id: str
    command: tuple[str, ...]
    labels: Mapping[str, str]
    user: str | None
    working_dir: str | None
    network: str
    read_only: bool
    tmpfs: Mapping[str, str]
    cap_add: tuple[str, ...]
    no_new_privileges: bool
    memory_bytes: int
    nano_cpus: int
    pids: int
    nofile: int
    shm_bytes: int
    log_max_bytes: int
    runtime: str | None
    environment: Mapping[str, str]
    """Values that everybody may see: never anything of a request."""
    volumes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Named volumes by the path at which they are mounted; writable even where the root is not. Of what the image has at
    that path, nothing comes into the volume."""
    read_only_volumes: frozenset[str] = frozenset()
    """The paths among them that cannot be written to."""


@dataclass(frozen=True, slots=True)
class OverlayOptions:
    """A volume that shows `lower` and keeps what is changed in `upper`; all are paths on the engine's machine."""

    lower: str
    upper: str
    work: str


@dataclass(frozen=True, slots=True)
class VolumeOptions:
    name: str
    labels: Mapping[str, str]
    overlay: OverlayOptions | None = None


class ExitCause(StrEnum):
    RUNNING = "running"
    EXITED = "exited"
    NEVER_STARTED = "never_started"
    GONE = "gone"
    """The engine answered, and there is no such container."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    cause: ExitCause
    exit_code: int | None = None
    oom_killed: bool = False
    disk_bytes: int | None = None
    """Size of the writable layer, where it was asked for."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of one of the container's two pipes, as the engine's log has them, and when the engine read them."""

    pipe: int
    data: bytes
    at: datetime


STDOUT, STDERR = 1, 2
"""The pipes' numbers in Docker's stream header."""


class Receiver(Protocol):
    """Takes a sandbox's output as it comes, on the event loop. It cannot ask the sender to wait, on purpose:
    an attach that nobody reads stalls the container, and makes `kill` and `inspect` hang."""

    def received(self, pipe: int, data: bytes) -> None: ...

    def disconnected(self) -> None:
        """No more will come: end of stream, or the connection is lost, or `close` was called."""
        ...


class Attachment(Protocol):
    """The private channel to one sandbox."""

    async def send(self, message: bytes) -> None:
        """Write the whole message and close the write side. A lost connection shows as `disconnected`."""
        ...

    def close(self) -> None:
        """Close both directions at once."""
        ...


class Engine(Protocol):
    async def info(self) -> EngineInfo: ...

    async def ping(self) -> None: ...

    async def image(self, reference: str) -> Image | None:
        """The image if it is present; none if the engine says that it is not."""
        ...

    async def create(self, options: ContainerOptions) -> ContainerId:
        """Create without starting. Raises `Refused(image_not_found | image_unusable)` where the image is at fault."""
        ...

    async def attach(self, container: ContainerId, receiver: Receiver) -> Attachment:
        """Always before `start`: attaching to a container that already prints loses its first bytes."""
        ...

    async def start_container(self, container: ContainerId) -> None: ...

    async def kill(self, container: ContainerId) -> None:
        """SIGKILL to all of it. Fine if it has ended already or is gone."""
        ...

    async def remove(self, container: ContainerId) -> None:
        """Remove it with its anonymous volumes, running or not. Fine if it is gone."""
        ...

    async def state(self, container: ContainerId, *, with_size: bool = False) -> ContainerState: ...

    async def exited(self, container: ContainerId) -> None:
        """Wait until it has ended, by the engine's event stream and by a look at every (re)connection of it."""
        ...

    def log(self, container: ContainerId) -> AsyncGenerator[Chunk]:
        """Its output from the engine's own log, from the first byte that the log still has, until it ends. May be read
        slowly. The engine knows no offsets: whoever has a part already passes over it."""
        ...

    async def signal(self, container: ContainerId, name: str) -> None:
        """Send a signal (`USR1`, `TERM`) to its first process, which passes it on to the boot script. Fine if it has
        ended already or is gone."""
        ...

    async def find(self, name: str) -> ContainerId | None:
        """The container of that name; none if the engine says that there is none."""
        ...

    async def create_volume(self, options: VolumeOptions) -> None:
        """Fine if it exists."""
        ...

    async def volume_path(self, name: str) -> str | None:
        """Where the engine's machine has it; none if the engine says that there is none."""
        ...

    async def remove_volume(self, name: str) -> None:
        """Fine if it is gone. Raises `Unavailable` while a container uses it."""
        ...

    async def volumes(self, instance: InstanceId) -> Sequence[str]:
        """The names of the volumes that carry this instance's label."""
        ...

    def get_archive(self, container: ContainerId, path: str) -> AsyncGenerator[bytes]:
        """What is at `path` in a container, running or ended, as a tar. Ends without a byte if there is nothing."""
        ...

    async def put_archive(self, container: ContainerId, path: str, tar: AsyncIterable[bytes]) -> bool:
        """Unpack a tar into the directory `path` of a container; false if there is no such directory.

        Raises `Refused(input_unusable)` where the engine will not write there.
        """
        ...

    async def sandboxes(self, instance: InstanceId) -> Sequence[tuple[ContainerId, SandboxId]]:
        """The containers that carry this instance's label and name, running or not."""
        ...
