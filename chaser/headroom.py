"""Whether the machine has enough to spare for what nobody waits for yet."""

from collections.abc import Callable
from pathlib import Path

MEMINFO = Path("/proc/meminfo")


def available_memory() -> int:
    """What new programs can have without swapping, in bytes (proc_meminfo(5), MemAvailable)."""
    for line in MEMINFO.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise LookupError(MEMINFO)


class Headroom:
    """`memory` tells how much is available on the engine's machine; none: nobody here can tell."""

    def __init__(
        self, free_memory_bytes: int, disk: Callable[[], str | None], memory: Callable[[], int] | None
    ) -> None:
        """`disk` says what a disk is short of; none if nothing."""
        self._least = free_memory_bytes
        self._disk = disk
        self._memory = memory

    def shortage(self) -> str | None:
        """Why nothing may be made ahead now, in a sentence; none: it may."""
        if self._memory is not None and (free := self._memory()) < self._least:
            return (
                f"{free} bytes of memory are available, less than the {self._least} of "
                "limits.free_memory_bytes; add memory, or lower min_warm."
            )
        return self._disk()

    def scarce(self) -> bool:
        """Whether what was made ahead is to go. That is well below the shortage, so that it is not made and undone in
        turn."""
        return self._memory is not None and self._memory() < self._least // 2
