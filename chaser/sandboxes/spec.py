"""What a sandbox is to be, and what is to run in it. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from chaser.ids import UploadId, WorkspaceId


class Isolation(StrEnum):
    """How much of the image's own rights a sandbox keeps; from the strictest to the loosest."""

    STRICT = "strict"
    """uid 65534, no capability, a read-only root with sized tmpfs"""
    STANDARD = "standard"
    """the image's own user, a writable layer, the seven capabilities that package managers need"""
    SUDO = "sudo"
    """as standard, and `sudo` works; for runner images"""

    def at_least(self, other: "Isolation") -> bool:
        """Whether this is as strict as `other`, or stricter."""
        order = list(Isolation)
        return order.index(self) <= order.index(other)


class Network(StrEnum):
    NONE = "none"
    ALLOWLIST = "allowlist"
    INTERNET = "internet"

    def at_least(self, other: "Network") -> bool:
        """Whether this is as strict as `other`, or stricter."""
        order = list(Network)
        return order.index(self) <= order.index(other)


class PullPolicy(StrEnum):
    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


class Streams(StrEnum):
    MERGED = "merged"
    SPLIT = "split"


class WorkspaceMode(StrEnum):
    EXCLUSIVE = "exclusive"
    """The workspace itself, for one job at a time."""
    COPY = "copy"
    """A throwaway copy-on-write copy of it, for any number of jobs at once."""


WORKSPACE_PATH = "/workspace"
"""Where a sandbox finds its workspace."""


@dataclass(frozen=True, slots=True)
class WorkspaceUse:
    """The workspace that a job runs in, and how."""

    id: WorkspaceId
    mode: WorkspaceMode


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sandbox may use. Sizes in bytes; `disk_bytes` of none: not limited by Chaser."""

    cpus: float
    memory_bytes: int
    pids: int = 4096
    disk_bytes: int | None = None
    nofile: int = 65536
    shm_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Profile:
    """A sandbox shape from the configuration. `limits` holds the defaults, `maxima` what a request may ask for."""

    name: str
    image: str
    isolation: Isolation
    network: Network
    limits: Limits
    maxima: Limits
    runner_image: str
    runner_isolation: Isolation
    runtime: str | None = None
    registries: frozenset[str] | None = None
    """Registries whose credentials this profile may use; none: all that are configured."""
    runner_timeout: timedelta = timedelta(hours=6)
    max_running: int | None = None
    """How many of its jobs run at once on this service; none: as many as there are slots."""
    runner_labels: frozenset[str] = frozenset()
    """What `runs-on` may name beside the profile's own label; in lower case."""
    repositories: tuple[str, ...] = ("*/*",)
    """Patterns of the GitHub repositories whose workflows may use it."""
    min_warm: int = 0
    """How many sandboxes are kept ready for its requests."""
    runner_min_warm: int = 0
    """How many are kept ready for GitHub's runners."""

    @property
    def usual(self) -> "SandboxSpec":
        """The sandbox of a request that says nothing but the profile."""
        return self._spec(self.image, self.isolation)

    @property
    def runner(self) -> "SandboxSpec":
        """The sandbox of a runner whose label names no size."""
        return self._spec(self.runner_image, self.runner_isolation)

    def _spec(self, image: str, isolation: Isolation) -> "SandboxSpec":
        return SandboxSpec(
            image=image,
            profile=self.name,
            isolation=isolation,
            network=self.network,
            limits=self.limits,
            runtime=self.runtime,
            registries=self.registries,
        )


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """Everything that is fixed when a sandbox is created."""

    image: str
    profile: str
    isolation: Isolation
    network: Network
    limits: Limits
    user: str | None = None
    runtime: str | None = None
    pull: PullPolicy = PullPolicy.MISSING
    registries: frozenset[str] | None = None
    workspace: WorkspaceUse | None = None
    """Mounted at `WORKSPACE_PATH`."""
    scratch: bool = False
    """An empty volume at `WORKSPACE_PATH` that goes with the sandbox: a writable place that files can be put into and
    taken from, whatever the isolation."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a launch, run by `/bin/sh -c`. The first that fails ends the launch, unless it may fail."""

    command: str
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    stdin: str = field(default="", repr=False)
    cwd: str | None = None
    replaces_shell: bool = False
    """Run by `exec`, so that signals reach it; only for a last step. Its end is then the engine's exit."""
    grace: timedelta | None = None
    """How long it has after a SIGTERM, when the launch is to end before its time; none: it is killed at once. Only for a
    step that replaces the shell."""
    timeout: timedelta | None = None
    """How long this step may take; none: as long as the launch."""
    may_fail: bool = False
    """Whether the next step runs even if this one fails (`continue_on_error`)."""


@dataclass(frozen=True, slots=True)
class RootFile:
    """A file in a sandbox that is root's, in a directory that is root's: what runs there as another user cannot change it,
    nor put another in its place."""

    directory: str
    """Of one name or several, below the root: `/chaser/answers`."""
    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that is handed over to a prepared sandbox, and how long it may take."""

    steps: tuple[Step, ...]
    timeout: timedelta
    streams: Streams = Streams.MERGED
    masked: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Secret values, by name, that are written as `***` in everything that is stored."""
    root_files: tuple[RootFile, ...] = ()
    """Put there before the first step begins."""

    def terms(self, nonce: str) -> "Terms":
        return Terms(
            nonce=nonce,
            steps=tuple(
                StepTerms(step.timeout, step.may_fail, step.replaces_shell, step.grace) for step in self.steps
            ),
            timeout=self.timeout,
            streams=self.streams,
            masked=self.masked,
        )


@dataclass(frozen=True, slots=True)
class StepTerms:
    """What must be known of a step once it has been handed over."""

    timeout: timedelta | None
    may_fail: bool
    replaces_shell: bool
    grace: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What must be known of a launch once it has been handed over: kept, sealed, with the sandbox's row, so that
    another process can take the sandbox over. The nonce marks the sandbox's output."""

    nonce: str = field(repr=False)
    steps: tuple[StepTerms, ...]
    timeout: timedelta
    streams: Streams
    masked: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class InputFile:
    """An upload, and where in the sandbox it goes: a file to this path, a tar into this directory."""

    upload: UploadId
    path: str


@dataclass(frozen=True, slots=True)
class Files:
    """What goes into a sandbox before its first step, and what is taken out of it after its end, whatever its result.

    Relative paths and patterns are below `base`; without one, below the image's working directory.
    """

    base: str | None
    inputs: tuple[InputFile, ...] = ()
    artifacts: tuple[str, ...] = ()
    """Patterns: `*`, `?` and `[…]` within a name, `**` for any number of directories."""

    def root(self, working_dir: str) -> str:
        """The directory that relative paths are below, in a sandbox of an image with that working directory."""
        return self.base or working_dir or "/"
