"""Pieces of output in order, small neighbours of one stream joined: a run that prints byte by byte costs no more
memory than one that prints in blocks."""

from collections import deque
from collections.abc import Iterable

from chaser.jobs.ports import Stream

PIECE = 128 * 1024
"""Bytes up to which neighbours are joined."""
OVERHEAD = 160
"""About what one piece takes in memory beside its bytes; counts where two streams alternate byte by byte."""


class Pieces:
    def __init__(self) -> None:
        self._pieces: deque[tuple[Stream, bytearray]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return self._bytes + OVERHEAD * len(self._pieces)

    def append(self, stream: Stream, data: bytes) -> None:
        self._bytes += len(data)
        if self._pieces:
            last_stream, last = self._pieces[-1]
            if last_stream is stream and len(last) + len(data) <= PIECE:
                last += data
                return
        self._pieces.append((stream, bytearray(data)))

    def take(self, limit: int) -> list[tuple[Stream, bytes]]:
        """Remove pieces from the front: one at least, if there is one, then as many as fit in `limit` bytes."""
        taken: list[tuple[Stream, bytes]] = []
        size = 0
        while self._pieces and (not taken or size + len(self._pieces[0][1]) <= limit):
            stream, data = self._pieces.popleft()
            size += len(data)
            taken.append((stream, bytes(data)))
        self._bytes -= size
        return taken

    def shorten(self, weight: int) -> int:
        """Drop bytes from the front until no more than `weight` is left; returns how many bytes were dropped."""
        dropped = 0
        while self.weight > weight:
            first = self._pieces[0][1]
            cut = min(self.weight - weight, len(first))
            dropped += cut
            self._bytes -= cut
            if cut == len(first):
                self._pieces.popleft()
            else:
                del first[:cut]
        return dropped


def joined(pieces: Iterable[tuple[Stream, bytes]]) -> list[tuple[Stream, bytes]]:
    """The same output in as few pieces as may be."""
    whole = Pieces()
    for stream, data in pieces:
        whole.append(stream, data)
    return whole.take(whole.weight)
