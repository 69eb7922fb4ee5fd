"""POST /v1/exec: what is asked, and what is answered."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from chaser.api.schemas.common import Moment, Shown, Size, Strict, fits, most_by_context, most_bytes
from chaser.jobs.kinds.exec import ExecAsk, LimitsAsk
from chaser.sandboxes.reference import parse_reference
from chaser.sandboxes.spec import Isolation, Network, PullPolicy, Streams

LONGEST = 120 * 1024
"""Of a command and of each value of the environment: Linux takes no single string of more than 128 KiB."""
_HIGHEST_ID = (1 << 31) - 1
_USER = r"^([A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,10}(:[0-9]{1,10})?)$"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$")]
Value = Annotated[str, Field(max_length=LONGEST), most_bytes(LONGEST)]
Environment = dict[Name, Value]


class WorkspaceMode(StrEnum):
    EXCLUSIVE = "exclusive"
    COPY = "copy"


class LimitsRequest(Strict):
    """Limits of this run, within the profile's maxima; what is left out is as the profile says."""

    cpus: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] | None = None
    memory: Size | None = None
    pids: Annotated[int, Field(ge=1, le=4_194_304)] | None = None
    disk: Size | None = None

    def ask(self) -> LimitsAsk:
        return LimitsAsk(self.cpus, self.memory, self.pids, self.disk)


class InputRequest(Strict):
    upload: Annotated[str, Field(min_length=1, max_length=64)]
    path: Annotated[str, Field(min_length=1, max_length=4096)]


def _reference(text: str) -> bool:
    return parse_reference(text) is not None


def _user(text: str) -> bool:
    numbers = [part for part in text.split(":") if part.isdecimal()]
    return all(int(number) <= _HIGHEST_ID for number in numbers)


Milliseconds = Annotated[int, Field(ge=1)]


MOST_SECRET_BYTES = 128 * 1024


class ExecRequest(Strict):
    """One command, to be run in a fresh sandbox."""

    command: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST, examples=["echo hello"], description="Run by `/bin/sh -c`."),
        most_bytes(LONGEST),
    ]
    ephemeral: Annotated[bool, Field(description="A fresh sandbox, of which nothing is kept.")] | None = None
    workspace: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Not served by this version: `not_supported`."
    )
    workspace_mode: WorkspaceMode | None = Field(
        default=None, description="Not served by this version: `not_supported`."
    )
    image: (
        Annotated[
            str,
            Field(min_length=1, max_length=522, examples=["debian:12"]),
            fits(
                _reference,
                "is not an image reference; write it like debian:12 or ghcr.io/owner/name@sha256:…",
            ),
        ]
        | None
    ) = Field(default=None, description="An OCI reference; else the profile's image.")
    pull: PullPolicy | None = Field(
        default=None, description="When to pull the image; `missing` if not said."
    )
    profile: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="A sandbox shape from the configuration; `default` if not said."
    )
    timeout_ms: Annotated[Milliseconds, most_by_context("timeout_ms", "ms")] | None = Field(
        default=None, description="How long the command may run."
    )
    queue_timeout_ms: Annotated[Milliseconds, most_by_context("queue_timeout_ms", "ms")] | None = Field(
        default=None, description="How long it may wait for its turn."
    )
    cwd: Annotated[str, Field(pattern=r"^/", max_length=4096), most_bytes(4096)] | None = Field(
        default=None, description="An absolute path; else the image's WORKDIR."
    )
    env: Environment | None = Field(default=None, repr=False)
    secrets: Environment | None = Field(
        default=None, repr=False, description="Like `env`, and shown as `***` in all output that is stored."
    )
    stdin: str | None = Field(default=None, repr=False, description="Empty if not given.")
    user: Annotated[str, Field(pattern=_USER), fits(_user, f"names an id above {_HIGHEST_ID}")] | None = (
        Field(default=None, description="A name or uid[:gid]; else the image's USER.")
    )
    inputs: list[InputRequest] | None = Field(
        default=None, description="Not served by this version: `not_supported`."
    )
    artifacts: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, description="Not served by this version: `not_supported`."
    )
    network: Network | None = Field(
        default=None,
        description="The profile's, or a stricter one. `allowlist` is not served by this version.",
    )
    isolation: Isolation | None = Field(default=None, description="The profile's, or a stricter one.")
    limits: LimitsRequest | None = None
    streams: Streams | None = Field(
        default=None,
        description="`merged` (if not said): stdout and stderr through one pipe, in exact order. `split`: told apart.",
    )
    keep_on_failure: bool | None = Field(
        default=None, description="`true` is not served by this version: `not_supported`."
    )

    @field_validator("profile")
    @classmethod
    def _known(cls, profile: str | None, info: ValidationInfo[Mapping[str, object] | None]) -> str | None:
        known = (info.context or {}).get("profiles")
        if profile is not None and isinstance(known, frozenset) and profile not in known:
            names = ", ".join(sorted(str(name) for name in known))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            raise ValueError(f"there is no such profile; there are: {names}")
        return profile

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

    @field_validator("workspace")
    @classmethod
    def _one_place(cls, workspace: str | None, info: ValidationInfo[object]) -> str | None:
        if workspace is not None and info.data.get("ephemeral"):
            raise ValueError(
                "does not go with ephemeral: true; for a throwaway copy of it say workspace_mode: copy"
            )
        return workspace

    def not_served(self) -> tuple[str, ...]:
        """The fields that ask for what this version does not do."""
        asked = {
            "workspace": self.workspace is not None,
            "workspace_mode": self.workspace_mode is not None,
            "inputs": bool(self.inputs),
            "artifacts": bool(self.artifacts),
            "keep_on_failure": self.keep_on_failure is True,
            "network": self.network is Network.ALLOWLIST,
        }
        return tuple(name for name, is_asked in asked.items() if is_asked)

    def ask(self, default_timeout: timedelta) -> ExecAsk:
        return ExecAsk(
            command=self.command,
            timeout=default_timeout if self.timeout_ms is None else timedelta(milliseconds=self.timeout_ms),
            profile=self.profile or "default",
            image=self.image,
            pull=self.pull or PullPolicy.MISSING,
            cwd=self.cwd,
            user=self.user,
            env=self.env or {},
            secrets=self.secrets or {},
            stdin=self.stdin or "",
            network=self.network,
            isolation=self.isolation,
            limits=self.limits.ask() if self.limits else LimitsAsk(),
            streams=self.streams or Streams.MERGED,
        )


class Timings(Shown):
    """What took how long, in milliseconds; null where it did not come so far."""

    queue_ms: int | None = None
    pull_ms: int | None = None
    prepare_ms: int | None = None
    start_ms: int | None = None
    run_ms: int | None = None
    total_ms: int | None = None
    warm: bool = Field(default=False, description="Whether a sandbox was ready before it was asked for.")


class ExecAnswer(Shown):
    """How a run ended. Whatever the command did, this is the answer."""

    id: str
    kind: str
    status: str = Field(description="`succeeded`, `failed` or `cancelled`.")
    reason: str | None = Field(description="Why it did not succeed; an open list.")
    message: str | None = Field(description="What can be done about the reason.")
    exit_code: int | None = Field(
        description="0 to 255 (128 + n for a signal); null if the command did not end by itself."
    )
    output: str | None = Field(
        default=None,
        description="The whole, or its first and last halves with a line between them that says so.",
    )
    output_truncated: bool
    output_bytes: int
    session_id: str | None = Field(description="The sandbox.")
    command: str
    ephemeral: bool
    background: Literal[False] = False
    command_id: None = None
    pid: None = None
    workspace: None = None
    workspace_id: None = None
    image: str | None
    image_digest: str | None
    artifacts: list[str]
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    timings: Timings


class StartedEvent(Shown):
    id: str
    kind: str
    status: str
    created_at: Moment


class OutputEvent(Shown):
    seq: int
    stream: str = Field(description="`output`, `stdout`, `stderr`; `gap` where output is left out.")
    data: str
    skipped: int | None = Field(default=None, description="In a gap: how many bytes are left out.")
