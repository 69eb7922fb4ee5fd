"""Pieces of output in order, small neighbours joined: a run that prints byte by byte costs no more memory than one that
prints in blocks."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from chaser.jobs.logs import Stream
from chaser.sandboxes.engine import STDOUT

PIECE = 128 * 1024
"""Bytes up to which neighbours are joined."""
OVERHEAD = 320
"""About what one piece takes in memory beside its bytes; counts where two streams alternate byte by byte."""


class Piece(NamedTuple):
    """Some output, and its place: how far into its pipe it reaches. A named tuple: one is made of each read, and a frozen
    dataclass takes three times as long to make."""

    stream: Stream
    data: bytes
    at: datetime
    """When its last byte was read."""
    end: int
    """Bytes of the pipe, marks and all, up to the end of this piece."""
    pipe: int = STDOUT
    step: int = 0
    covered: int = 0
    """How many bytes of the pipe beyond `end` belong to the secret whose mask this piece ends with."""
    masked: bool = False
    """Whether it stands for a secret, and so cannot be cut."""

    def cut(self, at: int) -> "tuple[Piece | None, Piece | None]":
        """The part of up to `at` bytes, and the rest."""
        if at >= len(self.data):
            return self, None
        if at <= 0 or self.masked:
            return None, self
        rest = len(self.data) - at
        return self._replace(data=self.data[:at], end=self.end - rest), self._replace(data=self.data[at:])


@dataclass(slots=True)
class _Joint:
    """Neighbours of one stream, pipe and step."""

    last: Piece
    """Its place, without its bytes."""
    data: bytearray

    def takes(self, piece: Piece) -> bool:
        last = self.last
        return (
            last.step == piece.step
            and last.pipe == piece.pipe
            and last.stream is piece.stream is not Stream.GAP
            and len(self.data) + len(piece.data) <= PIECE
        )


class Pieces:
    def __init__(self) -> None:
        self._joints: deque[_Joint] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._joints)

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return self._bytes + OVERHEAD * len(self._joints)

    def append(self, piece: Piece) -> None:
        self._bytes += len(piece.data)
        if self._joints and self._joints[-1].takes(piece):
            joint = self._joints[-1]
            joint.data += piece.data
            joint.last = piece._replace(data=b"")
        else:
            self._joints.append(_Joint(piece._replace(data=b""), bytearray(piece.data)))

    def take(self, limit: int) -> list[Piece]:
        """Remove pieces from the front: one at least, if there is one, then as many as fit in `limit` bytes."""
        taken: list[Piece] = []
        size = 0
        while self._joints and (not taken or size + len(self._joints[0].data) <= limit):
            joint = self._joints.popleft()
            size += len(joint.data)
            taken.append(joint.last._replace(data=bytes(joint.data), masked=False))
        self._bytes -= size
        return taken

    def shorten(self, weight: int) -> int:
        """Drop bytes from the front until no more than `weight` is left; returns how many bytes were dropped."""
        dropped = 0
        while self.weight > weight:
            first = self._joints[0].data
            cut = min(self.weight - weight, len(first))
            dropped += cut
            self._bytes -= cut
            if cut == len(first):
                self._joints.popleft()
            else:
                del first[:cut]
        return dropped


def joined(pieces: list[Piece]) -> list[Piece]:
    """The same output in as few pieces as may be."""
    whole = Pieces()
    for piece in pieces:
        whole.append(piece)
    return whole.take(whole.weight)
