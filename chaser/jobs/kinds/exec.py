"""`sandbox.exec`: one command in a fresh sandbox."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from chaser.errors import FieldFault, Rejected
from chaser.jobs.job import Job, Secrets, Status, Verdict
from chaser.jobs.reason import Reason
from chaser.jobs.row import integer, mapping, number, optional_text, text
from chaser.sandboxes.ending import Ending, Exited, Stopped, Vanished
from chaser.sandboxes.spec import (
    Isolation,
    Launch,
    Limits,
    Network,
    Profile,
    PullPolicy,
    SandboxSpec,
    Step,
    Streams,
)

NAME = "sandbox.exec"
STRICT_UID = "65534"


@dataclass(frozen=True, slots=True)
class LimitsAsk:
    """The limits that a request names; none: the profile's. Sizes in bytes."""

    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ExecAsk:
    """A request for one command, well-formed but not yet held against its profile. None: as the profile says."""

    command: str
    timeout: timedelta
    profile: str = "default"
    image: str | None = None
    pull: PullPolicy = PullPolicy.MISSING
    cwd: str | None = None
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    stdin: str = field(default="", repr=False)
    network: Network | None = None
    isolation: Isolation | None = None
    limits: LimitsAsk = LimitsAsk()
    streams: Streams = Streams.MERGED


@dataclass(frozen=True, slots=True)
class Admitted:
    """What goes into the row: the part that may be shown, and the part that is sealed."""

    input: Mapping[str, object]
    secrets: Secrets


def admit(ask: ExecAsk, profiles: Mapping[str, Profile]) -> Admitted:
    """Hold a request against its profile. Raises `Rejected` with every fault at once."""
    profile = profiles.get(ask.profile)
    if profile is None:
        known = ", ".join(sorted(profiles))
        raise _invalid([FieldFault("/profile", f"there is no such profile; there are: {known}")])
    faults = [*_looser(ask, profile), *_over_limits(ask.limits, profile.maxima)]
    if faults:
        raise _invalid(faults)
    isolation = ask.isolation or profile.isolation
    limits = _chosen(ask.limits, profile.limits)
    shown: dict[str, object] = {
        "command": ask.command,
        "profile": profile.name,
        "image": ask.image or profile.image,
        "pull": ask.pull.value,
        "timeout_ms": int(ask.timeout / timedelta(milliseconds=1)),
        "cwd": ask.cwd,
        "user": ask.user,
        "env": dict.fromkeys(ask.env, "***"),
        "secrets": dict.fromkeys(ask.secrets, "***"),
        "network": (ask.network or profile.network).value,
        "isolation": isolation.value,
        "limits": {
            "cpus": limits.cpus,
            "memory": limits.memory_bytes,
            "pids": limits.pids,
            "disk": limits.disk_bytes,
        },
        "streams": ask.streams.value,
    }
    return Admitted(shown, Secrets(env=ask.env, masked=ask.secrets, stdin=ask.stdin))


def _looser(ask: ExecAsk, profile: Profile) -> list[FieldFault]:
    faults: list[FieldFault] = []
    if ask.isolation is not None and not ask.isolation.at_least(profile.isolation):
        faults.append(
            FieldFault(
                "/isolation", f"the profile allows {profile.isolation} or stricter, not {ask.isolation}"
            )
        )
    if ask.network is not None and not ask.network.at_least(profile.network):
        faults.append(
            FieldFault("/network", f"the profile allows {profile.network} or stricter, not {ask.network}")
        )
    isolation = ask.isolation or profile.isolation
    if ask.user is not None and isolation is Isolation.STRICT:
        faults.append(FieldFault("/user", f"strict isolation always runs as uid {STRICT_UID}; leave it out"))
    return faults


def _over_limits(ask: LimitsAsk, maxima: Limits) -> list[FieldFault]:
    pairs: list[tuple[str, float | None, float | None]] = [
        ("cpus", ask.cpus, maxima.cpus),
        ("memory", ask.memory_bytes, maxima.memory_bytes),
        ("pids", ask.pids, maxima.pids),
        ("disk", ask.disk_bytes, maxima.disk_bytes),
    ]
    return [
        FieldFault(f"/limits/{name}", f"the profile allows at most {most}")
        for name, asked, most in pairs
        if asked is not None and most is not None and asked > most
    ]


def _chosen(ask: LimitsAsk, defaults: Limits) -> Limits:
    return replace(
        defaults,
        cpus=ask.cpus or defaults.cpus,
        memory_bytes=ask.memory_bytes or defaults.memory_bytes,
        pids=ask.pids or defaults.pids,
        disk_bytes=ask.disk_bytes or defaults.disk_bytes,
    )


def _invalid(faults: list[FieldFault]) -> Rejected:
    return Rejected(
        422, "invalid_request", "The request has faults; see details.fields.", fields=tuple(faults)
    )


class Exec:
    """The kind, as the dispatcher knows it."""

    name = NAME
    patient = False

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        self._profiles = profiles

    def spec(self, job: Job) -> SandboxSpec:
        profile = self._profiles.get(text(job.input, "profile"))
        limits = mapping(job.input, "limits")
        return SandboxSpec(
            image=text(job.input, "image"),
            profile=text(job.input, "profile"),
            isolation=Isolation(text(job.input, "isolation")),
            network=Network(text(job.input, "network")),
            limits=Limits(
                cpus=number(limits, "cpus"),
                memory_bytes=integer(limits, "memory"),
                pids=integer(limits, "pids"),
                disk_bytes=None if limits.get("disk") is None else integer(limits, "disk"),
                nofile=profile.limits.nofile if profile else Limits.nofile,
                shm_bytes=profile.limits.shm_bytes if profile else Limits.shm_bytes,
            ),
            user=optional_text(job.input, "user"),
            runtime=profile.runtime if profile else None,
            pull=PullPolicy(text(job.input, "pull")),
            registries=profile.registries if profile else frozenset(),
        )

    async def launch(self, job: Job) -> Launch:
        step = Step(
            command=text(job.input, "command"),
            env={**job.secrets.env, **job.secrets.masked},
            stdin=job.secrets.stdin,
            cwd=optional_text(job.input, "cwd"),
        )
        return Launch(
            steps=(step,),
            timeout=timedelta(milliseconds=integer(job.input, "timeout_ms")),
            streams=Streams(text(job.input, "streams")),
            masked=job.secrets.masked,
        )

    async def settle(self, job: Job) -> None:
        """Nothing is made outside the sandbox."""

    def verdict(self, job: Job, ending: Ending) -> Verdict:
        match ending:
            case Exited(exit_code=0):
                return Verdict(Status.SUCCEEDED, None, None, {"exit_code": 0})
            case Exited(exit_code=code, oom_kills=kills) if kills > 0:
                limit = integer(mapping(job.input, "limits"), "memory")
                message = f"The kernel killed {kills} of its processes at the memory limit of {limit} bytes; raise limits.memory."
                return Verdict(Status.FAILED, Reason.OUT_OF_MEMORY, message, {"exit_code": code})
            case Exited(exit_code=code):
                message = f"The command ended with exit status {code}; its output says why."
                return Verdict(Status.FAILED, Reason.NONZERO_EXIT, message, {"exit_code": code})
            case Stopped(reason=Reason.CANCELLED_BY_USER | Reason.CLIENT_GONE as reason, message=message):
                return Verdict(Status.CANCELLED, reason, message, {"exit_code": None})
            case Stopped(reason=reason, message=message):
                return Verdict(Status.FAILED, reason, message, {"exit_code": None})
            case Vanished(message=message):
                return Verdict(Status.FAILED, Reason.HOST_LOST, message, {"exit_code": None})
