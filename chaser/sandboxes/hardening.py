"""From a sandbox's spec to what the engine is told. Pure; the reasons for each choice are in `docs/security.md`."""

from collections.abc import Mapping
from typing import Final

from chaser.ids import InstanceId, SandboxId
from chaser.sandboxes.boot import COMMAND
from chaser.sandboxes.engine import ContainerOptions, EngineInfo, Image
from chaser.sandboxes.labels import INSTANCE, SANDBOX, container_name
from chaser.sandboxes.spec import Isolation, SandboxSpec

NOBODY: Final = "65534:65534"

PACKAGE_MANAGER_CAPABILITIES: Final = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
)
"""What apt, pip and npm need as root. Not among them, of Docker's own fourteen: NET_RAW, MKNOD, SYS_CHROOT,
NET_BIND_SERVICE, SETFCAP, SETPCAP and AUDIT_WRITE."""

CAPABILITIES: Final = {
    Isolation.STRICT: (),
    Isolation.STANDARD: PACKAGE_MANAGER_CAPABILITIES,
    # sudo prints an error without AUDIT_WRITE
    Isolation.SUDO: (*PACKAGE_MANAGER_CAPABILITIES, "AUDIT_WRITE"),
}

STRICT_WRITABLE: Final = ("/tmp", "/var/tmp", "/run")  # noqa: S108  # paths inside the sandbox
# runc 1.1 puts the mode of the image's own directory over the one asked for; the owner stays.
STRICT_TMPFS: Final = "rw,exec,nosuid,nodev,mode=1777,uid=65534,gid=65534,size=268435456"


def options(
    spec: SandboxSpec,
    *,
    sandbox: SandboxId,
    instance: InstanceId,
    image: Image,
    engine: EngineInfo,
    network: str,
    volumes: Mapping[str, str],
    log_max_bytes: int,
) -> ContainerOptions:
    """The container that `spec` describes. `network` is the engine's name for the spec's network; `volumes` are those
    that it is to have, by the path at which each is mounted."""
    strict = spec.isolation is Isolation.STRICT
    limits = spec.limits
    ceiling = engine.nofile_ceiling or limits.nofile
    # A volume of the image is writable even on a read-only root: cover it.
    covered = sorted(image.volumes - set(volumes))
    return ContainerOptions(
        name=container_name(sandbox),
        image_id=image.id,
        command=COMMAND,
        labels={INSTANCE: instance, SANDBOX: sandbox},
        user=NOBODY if strict else spec.user,
        working_dir=None,
        network=network,
        read_only=strict,
        tmpfs=dict.fromkeys((*STRICT_WRITABLE, *covered), STRICT_TMPFS) if strict else {},
        cap_add=CAPABILITIES[spec.isolation],
        no_new_privileges=spec.isolation is not Isolation.SUDO,
        memory_bytes=limits.memory_bytes,
        nano_cpus=int(limits.cpus * 1_000_000_000),
        pids=limits.pids,
        nofile=min(limits.nofile, ceiling),
        shm_bytes=limits.shm_bytes,
        log_max_bytes=log_max_bytes,
        runtime=spec.runtime,
        environment={"HOME": "/tmp"} if strict else {},  # noqa: S108
        volumes=dict(volumes),
    )
