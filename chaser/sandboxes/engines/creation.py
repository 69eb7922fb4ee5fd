"""Our container options as Docker's create request (https://docs.docker.com/reference/api/engine/, ContainerCreate)."""

from typing import Any, Final

from chaser.sandboxes.engine import ContainerOptions

LOG_FILES: Final = 5


def creation(options: ContainerOptions) -> dict[str, Any]:
    return {
        "Image": options.image_id,
        "Entrypoint": list(options.command),
        "Cmd": [],
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": dict(options.labels),
        "User": options.user if options.user is not None else "",
        "WorkingDir": options.working_dir or "",
        "Env": [f"{name}={value}" for name, value in options.environment.items()],
        "OpenStdin": True,
        # StdinOnce: the write side's end is the shell's end of file, and output goes on after it.
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "NetworkDisabled": False,
        "HostConfig": _host(options),
    }


def _host(options: ContainerOptions) -> dict[str, Any]:
    return {
        "NetworkMode": options.network,
        "Init": True,
        "ReadonlyRootfs": options.read_only,
        "Tmpfs": dict(options.tmpfs),
        "CapDrop": ["ALL"],
        "CapAdd": list(options.cap_add),
        "SecurityOpt": ["no-new-privileges"] if options.no_new_privileges else [],
        "Privileged": False,
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Memory": options.memory_bytes,
        "MemorySwap": options.memory_bytes,
        "NanoCpus": options.nano_cpus,
        "PidsLimit": options.pids,
        "Ulimits": [
            {"Name": "nofile", "Soft": options.nofile, "Hard": options.nofile},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "ShmSize": options.shm_bytes,
        "OomScoreAdj": 500,
        "RestartPolicy": {"Name": "no"},
        "Runtime": options.runtime or "",
        "LogConfig": {"Type": "local", "Config": _log(options.log_max_bytes)},
        "Mounts": [_mount(options, path, volume) for path, volume in options.volumes.items()],
    }


def _mount(options: ContainerOptions, path: str, volume: str) -> dict[str, Any]:
    return {
        "Type": "volume",
        "Source": volume,
        "Target": path,
        "ReadOnly": path in options.read_only_volumes,
        # What the image has at this path stays out of the volume: a new one is empty, whatever the image.
        "VolumeOptions": {"NoCopy": True},
    }


def _log(kept: int) -> dict[str, str]:
    """Files that hold at least the last `kept` bytes. Of one alone, all would be gone each time that it is full."""
    size = -(-kept // (LOG_FILES - 1))
    return {"max-size": str(size), "max-file": str(LOG_FILES), "compress": "false"}
