"""A request for a sandbox to run something in: the fields that all such kinds have, held against their profile."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from chaser.errors import FieldFault, Rejected
from chaser.ids import UploadId
from chaser.jobs.kind import Admitted, Bounds, WorkspaceAsk
from chaser.jobs.kinds.schema import (
    Environment,
    ImageName,
    PathWithin,
    ProfileName,
    RunTime,
    Size,
    Strict,
    WorkspaceSelector,
)
from chaser.sandboxes.spec import (
    WORKSPACE_PATH,
    Isolation,
    Limits,
    Network,
    Profile,
    WorkspaceMode,
)

MOST_SECRET_BYTES = 128 * 1024
MOST_FILES = 100


class LimitsRequest(Strict):
    """Limits of this run, within the profile's maxima; what is left out is as the profile says."""

    cpus: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] | None = None
    memory: Size | None = None
    pids: Annotated[int, Field(ge=1, le=4_194_304)] | None = None
    disk: Size | None = None


class InputRequest(Strict):
    """An upload, and where it goes: a file to this path, a tar into this directory."""

    upload: Annotated[str, Field(min_length=1, max_length=64)]
    path: PathWithin


class SandboxRequest(Strict):
    """What a client may say of the sandbox. None: as the profile, or the configuration, says."""

    workspace: WorkspaceSelector | None = Field(
        default=None,
        description="A name or an id; mounted at /workspace and kept. A name that is new makes one.",
    )
    workspace_mode: WorkspaceMode | None = Field(
        default=None,
        description="`exclusive` (if not said): one run at a time, changes kept. `copy`: a throwaway copy, many at once.",
    )
    image: ImageName | None = Field(
        default=None,
        description="An OCI reference; else the profile's image. A workspace has its own.",
    )
    profile: ProfileName | None = Field(
        default=None, description="A sandbox shape from the configuration; `default` if not said."
    )
    timeout_ms: RunTime | None = Field(default=None, description="How long it may run.")
    env: Environment | None = Field(default=None, repr=False)
    secrets: Environment | None = Field(
        default=None, repr=False, description="Like `env`, and shown as `***` in all output that is stored."
    )
    inputs: Annotated[list[InputRequest], Field(max_length=MOST_FILES)] | None = Field(
        default=None, description="Uploads to put in before it begins."
    )
    artifacts: Annotated[list[PathWithin], Field(max_length=MOST_FILES)] | None = Field(
        default=None, description="Patterns of files to keep after its end, whatever its result."
    )
    network: Network | None = Field(
        default=None,
        description="The profile's, or a stricter one. `allowlist` is not served by this version.",
    )
    isolation: Isolation | None = Field(default=None, description="The profile's, or a stricter one.")
    limits: LimitsRequest | None = None
    keep_on_failure: bool | None = Field(
        default=None, description="`true` is not served by this version: `not_supported`."
    )

    @field_validator("secrets")
    @classmethod
    def _once(cls, secrets: Environment | None, info: ValidationInfo[object]) -> Environment | None:
        both = sorted((secrets or {}).keys() & (info.data.get("env") or {}).keys())
        if both:
            raise ValueError(f"names what env names too: {', '.join(both[:10])}")
        # Every byte of output is held against all of them, and building the search takes the service's time.
        if sum(len(value.encode()) for value in (secrets or {}).values()) > MOST_SECRET_BYTES:
            raise ValueError(
                f"may have {MOST_SECRET_BYTES} bytes in all; hand larger ones over in stdin or env"
            )
        return secrets


class Ground:
    """A request on the ground of its profile: what it comes to, and what is wrong with it."""

    def __init__(self, asked: SandboxRequest, profiles: Mapping[str, Profile]) -> None:
        """Raises `Rejected` for what this version does not serve, and for a profile that is not there."""
        refuse_what_is_not_served(asked)
        name = asked.profile or "default"
        if name not in profiles:
            known = ", ".join(sorted(profiles))
            raise invalid([FieldFault("/profile", f"there is no such profile; there are: {known}")])
        self._asked = asked
        self.profile = profiles[name]
        self.isolation = asked.isolation or self.profile.isolation

    @property
    def has_volume(self) -> bool:
        """Whether there is something at /workspace: a workspace, or, where nothing else could hold files, an empty one."""
        asked = self._asked
        files = bool(asked.inputs or asked.artifacts)
        return asked.workspace is not None or (files and self.isolation is Isolation.STRICT)

    @property
    def cwd(self) -> str | None:
        """Where commands run that do not say; none: in the image's WORKDIR."""
        return WORKSPACE_PATH if self.has_volume else None

    def faults(self) -> list[FieldFault]:
        return [*self._of_the_place(), *self._looser(), *self._over_limits(), *self._out_of_reach()]

    def shown(self, bounds: Bounds) -> dict[str, object]:
        """The common part of the row's input: everything decided, nothing secret."""
        asked = self._asked
        limits = self._limits()
        timeout_ms = asked.timeout_ms or bounds.default_timeout // timedelta(milliseconds=1)
        return {
            "workspace": asked.workspace,
            "workspace_mode": None if asked.workspace is None else self._mode.value,
            "image": asked.image or self.profile.image,
            "profile": self.profile.name,
            "timeout_ms": timeout_ms,
            "env": dict.fromkeys(asked.env or {}, "***"),
            "secrets": dict.fromkeys(asked.secrets or {}, "***"),
            "inputs": [{"upload": each.upload, "path": each.path} for each in asked.inputs or ()],
            "artifacts": list(asked.artifacts or ()),
            "network": (asked.network or self.profile.network).value,
            "isolation": self.isolation.value,
            "limits": {
                "cpus": limits.cpus,
                "memory": limits.memory_bytes,
                "pids": limits.pids,
                "disk": limits.disk_bytes,
            },
        }

    def admitted(self, bare: Admitted) -> Admitted:
        """`bare` with all that follows from the common fields."""
        asked = self._asked
        return replace(
            bare,
            profile=self.profile.name,
            workspace=None if asked.workspace is None else WorkspaceAsk(asked.workspace, self._mode),
            uploads={
                f"/inputs/{number}/upload": UploadId(each.upload)
                for number, each in enumerate(asked.inputs or ())
            },
        )

    @property
    def _mode(self) -> WorkspaceMode:
        return self._asked.workspace_mode or WorkspaceMode.EXCLUSIVE

    def _limits(self) -> Limits:
        ask, defaults = self._asked.limits or LimitsRequest(), self.profile.limits
        return replace(
            defaults,
            cpus=ask.cpus or defaults.cpus,
            memory_bytes=ask.memory or defaults.memory_bytes,
            pids=ask.pids or defaults.pids,
            disk_bytes=ask.disk or defaults.disk_bytes,
        )

    def _of_the_place(self) -> list[FieldFault]:
        asked, faults = self._asked, list[FieldFault]()
        if asked.workspace is not None and asked.image is not None:
            faults.append(
                FieldFault("/image", "a workspace has its own image, set when it is made; leave it out")
            )
        if asked.workspace is None and asked.workspace_mode is not None:
            faults.append(FieldFault("/workspace_mode", "says how to use a workspace, and none is named"))
        return faults

    def _looser(self) -> list[FieldFault]:
        asked, profile, faults = self._asked, self.profile, list[FieldFault]()
        if asked.isolation is not None and not asked.isolation.at_least(profile.isolation):
            reason = f"the profile allows {profile.isolation} or stricter, not {asked.isolation}"
            faults.append(FieldFault("/isolation", reason))
        if asked.network is not None and not asked.network.at_least(profile.network):
            reason = f"the profile allows {profile.network} or stricter, not {asked.network}"
            faults.append(FieldFault("/network", reason))
        return faults

    def _over_limits(self) -> list[FieldFault]:
        ask, maxima = self._asked.limits or LimitsRequest(), self.profile.maxima
        pairs: list[tuple[str, float | None, float | None]] = [
            ("cpus", ask.cpus, maxima.cpus),
            ("memory", ask.memory, maxima.memory_bytes),
            ("pids", ask.pids, maxima.pids),
            ("disk", ask.disk, maxima.disk_bytes),
        ]
        return [
            FieldFault(f"/limits/{name}", f"the profile allows at most {most}")
            for name, asked, most in pairs
            if asked is not None and most is not None and asked > most
        ]

    def _out_of_reach(self) -> list[FieldFault]:
        """In strict isolation files can be put into, and taken from, nothing but the volume."""
        if self.isolation is not Isolation.STRICT:
            return []
        places = {
            **{f"/inputs/{at}/path": each.path for at, each in enumerate(self._asked.inputs or ())},
            **{f"/artifacts/{at}": pattern for at, pattern in enumerate(self._asked.artifacts or ())},
        }
        return [
            FieldFault(where, f"strict isolation has files only in {WORKSPACE_PATH}; name a path in it")
            for where, path in places.items()
            if not within_volume(path)
        ]


def within_volume(path: str) -> bool:
    """Whether a path, relative ones being below /workspace, leads there."""
    return not path.startswith("/") or f"{path}/".startswith(f"{WORKSPACE_PATH}/")


def invalid(faults: Sequence[FieldFault]) -> Rejected:
    return Rejected(
        422, "invalid_request", "The request has faults; see details.fields.", fields=tuple(faults)
    )


def refuse_what_is_not_served(asked: SandboxRequest) -> None:
    """Raises `Rejected` with the fields that ask for what this version does not do."""
    wanted = {
        "keep_on_failure": asked.keep_on_failure is True,
        "network": asked.network is Network.ALLOWLIST,
    }
    names = [name for name, is_wanted in wanted.items() if is_wanted]
    if names:
        raise Rejected(
            422,
            "not_supported",
            f"This version does not serve these fields yet: {', '.join(names)}. Leave them out.",
            details={"not_supported": [f"/{name}" for name in names]},
        )
