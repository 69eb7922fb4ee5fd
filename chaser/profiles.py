"""`[profiles.<name>]`: sandbox shapes as they are written, each inheriting what it does not say from `default`."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, cast

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    ValidationInfo,
    field_validator,
)
from pydantic_core import core_schema

from chaser.config_values import (
    Bytes,
    Count,
    Duration,
    RepositoryPatterns,
    Strings,
    Table,
    fault,
    whole_text,
)
from chaser.sandboxes.spec import Isolation, Limits, Network, Profile

DEFAULT = "default"
DEFAULT_IMAGE = "chaser-default:latest"
RUNNER_IMAGE = "ghcr.io/actions/actions-runner:latest"

_LABEL = re.compile(r"[!-+\--~]{1,256}")
"""GitHub takes 256 characters; a comma would part the list in an environment variable."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TOKEN = re.compile(r"(\d+(cpu|gb)|run\d+)")
"""What a label may add after the profile's name: `chaser-large-4cpu-16gb-run123`."""


def cores() -> int:
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """This machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class LimitsTable(Table):
    """What a sandbox may use when the request does not say."""

    cpus: Annotated[float, Field(gt=0, le=1024)] = min(2, cores())
    memory: Bytes = min(4 << 30, memory_bytes())
    pids: Count = 4096
    disk: Bytes = 20 << 30
    nofile: Count = 65536
    shm: Bytes = 1 << 30

    def limits(self) -> Limits:
        return Limits(self.cpus, self.memory, self.pids, self.disk, self.nofile, self.shm)


class MaximaTable(Table):
    """What a request may ask for; none: generous, and never less than the limits."""

    cpus: Annotated[float, Field(gt=0, le=1024)] | None = None
    memory: Bytes | None = None
    pids: Count | None = None
    disk: Bytes | None = None

    def over(self, limits: LimitsTable) -> Limits:
        return Limits(
            cpus=self.cpus or max(limits.cpus, cores()),
            memory_bytes=self.memory or max(limits.memory, memory_bytes()),
            pids=self.pids or max(limits.pids, 32768),
            disk_bytes=self.disk or max(limits.disk, 100 << 30),
            nofile=limits.nofile,
            shm_bytes=limits.shm,
        )

    def below(self, limits: LimitsTable) -> list[str]:
        """Which of them are less than the limit that holds when a request does not say."""
        pairs: dict[str, tuple[float | None, float]] = {
            "cpus": (self.cpus, limits.cpus),
            "memory": (self.memory, limits.memory),
            "pids": (self.pids, limits.pids),
            "disk": (self.disk, limits.disk),
        }
        return [name for name, (most, usual) in pairs.items() if most is not None and most < usual]


def _runner_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise fault("must be labels of 1 to 256 visible ASCII characters, without commas")
    return tuple(label.lower() for label in labels)


class ProfileTable(Table):
    image: Annotated[str, Field(min_length=1)] = DEFAULT_IMAGE
    isolation: Isolation = Isolation.STANDARD
    network: Network = Network.INTERNET
    runner_image: Annotated[str, Field(min_length=1)] = RUNNER_IMAGE
    runner_isolation: Isolation = Isolation.SUDO
    runner_timeout: Annotated[Duration, Field(alias="runner_timeout_ms")] = timedelta(hours=6)
    runtime: Annotated[str, Field(min_length=1)] | None = None
    max_running: Count | None = None
    """of its jobs at once; none: as many as there are slots"""
    runner_labels: Annotated[Strings, AfterValidator(_runner_labels)] = ()
    """what `runs-on` may name beside the profile's own label"""
    repositories: RepositoryPatterns = ("*/*",)
    """those whose workflows may use it; empty: it is for requests alone"""
    min_warm: Annotated[int, Field(ge=0)] = 0
    """sandboxes that are kept ready for requests"""
    runner_min_warm: Annotated[int, Field(ge=0)] = 0
    """sandboxes that are kept ready for GitHub's runners"""
    registries: Strings | None = None
    limits: LimitsTable = LimitsTable()
    maxima: MaximaTable = MaximaTable()

    @field_validator("network")
    @classmethod
    def _served(cls, network: Network) -> Network:
        if network is Network.ALLOWLIST:
            raise fault('must be "internet" or "none": allow lists are not served yet')
        return network

    @field_validator("maxima")
    @classmethod
    def _over_limits(cls, maxima: MaximaTable, info: ValidationInfo) -> MaximaTable:
        limits: object = info.data.get("limits")
        if isinstance(limits, LimitsTable) and (low := maxima.below(limits)):
            raise fault(f"is below limits in {', '.join(low)}; raise it, or lower limits")
        return maxima

    def profile(self, name: str) -> Profile:
        return Profile(
            name=name,
            image=self.image,
            isolation=self.isolation,
            network=self.network,
            limits=self.limits.limits(),
            maxima=self.maxima.over(self.limits),
            runner_image=self.runner_image,
            runner_isolation=self.runner_isolation,
            runtime=self.runtime,
            registries=None if self.registries is None else frozenset(self.registries),
            runner_timeout=self.runner_timeout,
            max_running=self.max_running,
            runner_labels=frozenset(self.runner_labels),
            repositories=self.repositories,
            min_warm=self.min_warm,
            runner_min_warm=self.runner_min_warm,
        )


def _inherit(value: object) -> object:
    """Give every profile what `default` says and it does not; and make `default` if nobody wrote it."""
    if not isinstance(value, dict):
        return value
    none: dict[str, object] = {}
    tables: dict[str, object] = {DEFAULT: none, **cast("dict[str, object]", value)}
    default = tables[DEFAULT]
    return {name: table if name == DEFAULT else _over(default, table) for name, table in tables.items()}


def _over(below: object, above: object) -> object:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    lower, upper = cast("dict[str, object]", below), cast("dict[str, object]", above)
    return {**lower, **{key: _over(lower.get(key), value) for key, value in upper.items()}}


def _named(tables: dict[str, ProfileTable]) -> Mapping[str, Profile]:
    return {name: table.profile(name) for name, table in tables.items()}


def _is_name(text: str) -> bool:
    well_formed = _NAME.fullmatch(text) is not None and len(text) <= 40
    return well_formed and not any(_TOKEN.fullmatch(part) for part in text.split("-"))


_ProfileName = Annotated[
    str,
    whole_text(
        _is_name,
        "is no name for a profile: at most 40 lower-case letters, digits and single dashes, beginning with a letter, "
        "and no part that reads as a size or a pin in a label (4cpu, 16gb, run1)",
    ),
]


def _schema(_source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    tables = handler.generate_schema(dict[_ProfileName, ProfileTable])
    profiles = core_schema.no_info_after_validator_function(_named, tables)
    return core_schema.no_info_before_validator_function(_inherit, profiles)


Profiles = Annotated[Mapping[str, Profile], GetPydanticSchema(_schema)]
"""Read as tables, kept as the core's own profiles, by name; `default` is always there."""
