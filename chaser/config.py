"""Settings: read once, from the environment over `chaser.toml` over the defaults, and reported whole.

Nothing else in Chaser reads the environment. What leaves this module are frozen plain values.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chaser.config_faults import sentences
from chaser.config_github import GitHub
from chaser.config_registries import Registries
from chaser.config_sources import Document, Location, from_environment, from_file, of_the_user
from chaser.config_values import (
    Bytes,
    Count,
    Duration,
    Percent,
    Period,
    Port,
    SecretList,
    SecretText,
    Strings,
    Table,
    UserPath,
    begins,
    fault,
    whole_text,
)
from chaser.errors import ConfigError
from chaser.profiles import Profiles, cores
from chaser.secret import Secret

FILE_NAME = "chaser.toml"
_DATABASES = ("sqlite:///", "postgres://", "postgresql://")
_ENGINES = ("unix://", "tcp://")


def _is_address(url: str) -> bool:
    return re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*[^\s?#/])?", url) is not None


def _database(url: Secret) -> Secret:
    if not url.reveal().startswith(_DATABASES):
        raise fault(f"must begin with {' or '.join(_DATABASES)}")
    return url


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ServiceLimits(Table):
    """`[limits]`: what the service as a whole takes on."""

    max_running: Count = 2 * cores()
    max_starting: Count = 4 * cores()
    """Starts at the same time. `make bench`, 16 runs at once on 2 cores: 4, 8 and 16 gave 0.89, 0.94 and 0.93 of the bare SDK."""
    max_queued: Count = 10_000
    rate: Annotated[
        str,
        whole_text(
            lambda text: re.fullmatch(r"[1-9]\d{0,8}/(second|minute|hour|day)", text) is not None,
            'must be a number of requests and a span, such as "600/minute"',
        ),
    ] = "600/minute"
    """requests per API key"""
    body_bytes: Bytes = 1 << 20
    batch_bytes: Bytes = 16 << 20
    """the body of POST /v1/jobs/batch"""
    output_keep_bytes: Bytes = 100 << 20
    """output of one job that is stored whole; of what is beyond, the last MiB"""
    output_kill_bytes: Bytes = 10 << 30
    """output at which a command is killed"""
    free_space_bytes: Bytes = 2 << 30
    """free space on the disks of the data and of the engine below which nothing new is started"""
    disk_clean_percent: Percent = 80
    """how full these disks may be before what can be done without goes; 100: it stays"""
    disk_full_percent: Percent = 90
    """how full they may be before nothing new is started; 100: only `free_space_bytes` counts"""
    free_memory_bytes: Bytes = 512 << 20
    """memory that must be available on the engine's machine for a sandbox to be made ahead of its need"""


class Deadlines(Table):
    """`[deadlines]`, each written in milliseconds."""

    timeout: Annotated[Duration, Field(alias="timeout_ms")] = timedelta(minutes=10)
    timeout_max: Annotated[Duration, Field(alias="timeout_max_ms")] = timedelta(hours=6)
    queue_timeout: Annotated[Duration, Field(alias="queue_timeout_ms")] = timedelta(minutes=5)
    pull: Annotated[Duration, Field(alias="pull_ms")] = timedelta(minutes=10)
    pull_stall: Annotated[Duration, Field(alias="pull_stall_ms")] = timedelta(minutes=1)
    start: Annotated[Duration, Field(alias="start_ms")] = timedelta(minutes=1)
    host_lost: Annotated[Duration, Field(alias="host_lost_ms")] = timedelta(minutes=15)
    """how long an engine may be without a service before the jobs on it are called lost"""


class FileLimits(Table):
    """`[files]`: what goes into sandboxes and comes out of them."""

    dir: UserPath | None = None
    """where uploads and artifacts lie; several services on one database must share it. None: the data directory"""
    upload_bytes: Bytes = 1 << 30
    """the largest upload"""
    artifacts_count: Count = 1000
    """files that one job may leave"""
    artifacts_bytes: Bytes = 1 << 30
    """size of all of them together"""
    artifacts_scan_bytes: Bytes = 10 << 30
    """how much is looked through for them: the engine shows whole directories"""
    artifacts_time: Annotated[Duration, Field(alias="artifacts_ms")] = timedelta(minutes=5)
    """how long that may take"""


class WorkspaceSettings(Table):
    """`[workspaces]`"""

    quota: Bytes | None = None
    """what a workspace may hold if its maker does not say; none: as much as the disk"""
    file_bytes: Bytes = 1 << 30
    """the largest file that is read out of one"""
    tar_bytes: Bytes = 10 << 30
    """the largest directory, as a tar"""
    file_time: Annotated[Duration, Field(alias="file_ms")] = timedelta(minutes=10)
    """how long reading or writing files may take"""
    snapshot_time: Annotated[Duration, Field(alias="snapshot_ms")] = timedelta(minutes=30)
    """how long a snapshot, a restore or a clone may take"""
    tool_image: Annotated[str, Field(min_length=1)] | None = None
    """what looks into workspaces; none: the default profile's image"""


class RetentionPeriods(Table):
    """`[retention]`: how long things are kept, each written in milliseconds."""

    jobs: Annotated[Period, Field(alias="jobs_ms")] = timedelta(days=30)
    """ended jobs, with their logs, history and artifacts"""
    deliveries: Annotated[Period, Field(alias="deliveries_ms")] = timedelta(days=7)
    uploads: Annotated[Period, Field(alias="uploads_ms")] = timedelta(days=1)
    sweep: Annotated[Duration, Field(alias="sweep_ms")] = timedelta(hours=1)
    """how often what has been kept long enough is removed"""


class Images(Table):
    """`[images]`"""

    allow: Strings = ()
    """Globs or digests of the images that may run; empty: all."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        validate_default=True,
        hide_input_in_errors=True,
        case_sensitive=True,
    )

    data_dir: UserPath
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    public_url: Annotated[
        str | None, whole_text(_is_address, "must be a URL such as https://chaser.example.com")
    ] = None
    """where others, GitHub among them, find the service; without a slash at its end"""
    database_url: Annotated[SecretText, AfterValidator(_database)] | None = None
    docker_host: Annotated[str | None, begins(*_ENGINES)] = None
    trusted_proxies: Strings = ()
    log_level: LogLevel = LogLevel.INFO
    secret_keys: SecretList | None = None
    """The first seals, the others only open: none: the file `secret_key_file`."""
    limits: ServiceLimits = ServiceLimits()
    deadlines: Deadlines = Deadlines()
    files: FileLimits = FileLimits()
    retention: RetentionPeriods = RetentionPeriods()
    workspaces: WorkspaceSettings = WorkspaceSettings()
    github: GitHub = GitHub()
    profiles: Profiles = Field(default_factory=dict)
    registries: Registries = Field(default_factory=dict)
    images: Images = Images()

    @field_validator("profiles")
    @classmethod
    def _without_our_prefix(cls, profiles: Profiles, info: ValidationInfo) -> Profiles:
        """One label of a job begins with the prefix, and that one names the profile: a second could never be used."""
        github: object = info.data.get("github")
        prefix = github.label_prefix if isinstance(github, GitHub) else None
        wrong = [
            name
            for name, profile in profiles.items()
            if prefix and any(label.startswith(prefix) for label in profile.runner_labels)
        ]
        if wrong:
            raise fault(f"runner_labels may not begin with github.label_prefix ({', '.join(wrong)})")
        return profiles

    @field_validator("profiles")
    @classmethod
    def _for_strangers(cls, profiles: Profiles, info: ValidationInfo) -> Profiles:
        """What a rule sends elsewhere is sent there for want of trust."""
        github: object = info.data.get("github")
        named = [rule.profile for rule in github.rules if rule.profile] if isinstance(github, GitHub) else []
        unknown = sorted({name for name in named if name not in profiles})
        trusting = sorted(
            {name for name in named if name in profiles and profiles[name].registries != frozenset()}
        )
        if unknown:
            raise fault(f"github.rules names a profile that is not here ({', '.join(unknown)})")
        if trusting:
            raise fault(
                f"a profile that github.rules names must have no credentials: give it registries = [] ({', '.join(trusting)})"
            )
        return profiles

    @staticmethod
    def load(environ: Mapping[str, str], file: Path | None) -> "Settings":
        """Read everything. Raises `ConfigError` with every fault at once."""
        environment, written, user = from_environment(environ), from_file(file), of_the_user(environ)
        names = {**user.names, **written.names, **environment.names}
        faults = [*environment.faults, *written.faults, *_half_given(names)]
        try:
            settings = _from(environment.values, written.values, user.values)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            raise ConfigError((*faults, *sentences(details, names))) from None
        if faults:
            raise ConfigError(tuple(faults))
        return settings

    @property
    def database(self) -> Secret:
        return self.database_url or Secret(f"sqlite:///{self.data_dir / 'chaser.db'}")

    @property
    def shown(self) -> Mapping[str, str]:
        """All of it for the log, by name; secrets are masked by their type."""
        return {name: repr(value) for name, value in self}

    @property
    def files_dir(self) -> Path:
        return self.files.dir or self.data_dir

    @property
    def secret_key_file(self) -> Path:
        return self.data_dir / "secret.key"

    @property
    def first_key_file(self) -> Path:
        return self.data_dir / "first.key"

    @property
    def local_url(self) -> str:
        """Where a program on this machine finds the service."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # recognised here, not bound
        host = everywhere.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def find_file(environ: Mapping[str, str], directory: Path) -> Path | None:
    """The file that `CHASER_CONFIG` names, whether it is there or not; else `chaser.toml` if `directory` has one."""
    named = environ.get("CHASER_CONFIG")
    if named:
        return Path(named).expanduser()
    found = directory / FILE_NAME
    return found if found.exists() else None


def _from(*documents: Document) -> Settings:
    """The settings of these documents, the first before the others, key by key."""

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_Source(settings_cls, document) for document in documents)

    return Sourced()  # pyright: ignore[reportCallIssue] # its sources give the values


class _Source(PydanticBaseSettingsSource):
    """A document that has been read already."""

    def __init__(self, settings_cls: type[BaseSettings], document: Document) -> None:
        super().__init__(settings_cls)
        self._document = document

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        return self._document.get(field_name), field_name, False

    def __call__(self) -> dict[str, object]:
        return self._document


def _half_given(names: Mapping[Location, str]) -> Iterable[str]:
    """Settings that mean something only together with another one."""
    pairs = [
        (("github", "app_id"), ("github", "private_key")),
        (("github", "private_key"), ("github", "app_id")),
        (("github", "webhook_secret_previous"), ("github", "webhook_secret")),
    ]
    for host in {location[1] for location in names if location[0] == "registries" and len(location) == 3}:
        user, password = ("registries", host, "username"), ("registries", host, "password")
        pairs += [(user, password), (password, user)]
    for given, needed in pairs:
        if given in names and needed not in names:
            yield f"{names[given]}: needs {'.'.join(needed)} as well"
