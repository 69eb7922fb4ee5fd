"""The highest open-file limit that a local engine can grant.

A daemon without CAP_SYS_RESOURCE (in a container, rootless) cannot raise limits above its own; asking for more makes
every start fail. Its process is known from the socket's peer credentials (unix(7), SO_PEERCRED).
"""

import socket
import struct
from pathlib import Path

CAP_SYS_RESOURCE = 24
"""include/uapi/linux/capability.h"""


def nofile_ceiling(socket_path: str) -> int | None:
    """The limit; none if there is none, or nothing can be known of the process."""
    pid = _peer(socket_path)
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        limits = Path(f"/proc/{pid}/limits").read_text()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return None
    return None if _may_raise(status) else _hard_nofile(limits)


def _peer(socket_path: str) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(socket_path)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def _may_raise(status: str) -> bool:
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> CAP_SYS_RESOURCE & 1)
    return False


def _hard_nofile(limits: str) -> int | None:
    for line in limits.splitlines():
        if line.startswith("Max open files"):
            hard = line.split()[4]
            return None if hard == "unlimited" else int(hard)
    return None
