"""What a sandbox is to be, and what is to run in it. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a launch, run by `/bin/sh -c`."""

    command: str
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    stdin: str = field(default="", repr=False)
    cwd: str | None = None
    replaces_shell: bool = False
    """Run by `exec`, so that signals reach it; only for a last step. Its end is then the engine's exit."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that is handed over to a prepared sandbox, and how long it may take."""

    steps: tuple[Step, ...]
    timeout: timedelta
    streams: Streams = Streams.MERGED
    masked: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Secret values, by name, that are written as `***` in everything that is stored."""
