"""One service process a data directory: a lock that the kernel holds for it, and lets go when it dies, however it dies.

So whoever has the lock knows that every earlier process of this directory is dead, and need not wait for its lease.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from chaser.errors import ConfigError

_FILE = "seat"
_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Seat:
    """Held until this process ends. `id` stays the same for the directory."""

    id: str
    descriptor: int


def take_seat(data_dir: Path) -> Seat:
    """Raises `ConfigError` if another process has it."""
    descriptor = os.open(data_dir / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        fault = (
            f"data_dir: another service runs on {data_dir}; stop it, or give this one a directory of its own "
            "(several services share their work through one PostgreSQL database)"
        )
        raise ConfigError((fault,)) from None
    return Seat(_named(descriptor), descriptor)


def _named(descriptor: int) -> str:
    known = os.pread(descriptor, 2 * _LENGTH, 0).decode("ascii", "replace")
    if len(known) == 2 * _LENGTH:
        return known
    made = os.urandom(_LENGTH).hex()
    os.pwrite(descriptor, made.encode(), 0)
    os.fsync(descriptor)
    return made
