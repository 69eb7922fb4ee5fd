"""Pieces of output in order, small neighbours of one stream joined: a run that prints byte by byte costs no more
memory than one that prints in blocks."""

from collections import deque

from chaser.jobs.ports import Stream

PIECE = 128 * 1024
"""Bytes up to which neighbours are joined."""


class Pieces:
    def __init__(self) -> None:
        self._pieces: deque[tuple[Stream, bytearray]] = deque()
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def append(self, stream: Stream, data: bytes) -> None:
        self.size += len(data)
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
        self.size -= size
        return taken

    def shorten(self, limit: int) -> int:
        """Drop bytes from the front until `limit` are left; returns how many were dropped."""
        dropped = 0
        while self.size > limit:
            first = self._pieces[0][1]
            cut = min(self.size - limit, len(first))
            dropped += cut
            self.size -= cut
            if cut == len(first):
                self._pieces.popleft()
            else:
                del first[:cut]
        return dropped
