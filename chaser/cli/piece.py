"""A piece of a run's output, and what becomes of it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from chaser.cli import output


@dataclass(frozen=True, slots=True)
class Piece:
    """`skipped` counts the bytes that the stream `gap` stands for; `step` counts a pipeline's steps from 0."""

    stream: str
    data: str
    skipped: int = 0
    step: int = 0


Show = Callable[[Piece], None]


def as_it_came(piece: Piece) -> None:
    """What the command wrote to stderr to stderr, the rest to stdout."""
    _write(piece, sys.stderr.buffer if piece.stream == "stderr" else sys.stdout.buffer)


def aside(piece: Piece) -> None:
    """All of it on stderr, where stdout is for the result."""
    _write(piece, sys.stderr.buffer)


def nowhere(_piece: Piece) -> None:
    """Nothing of it, where only the result is wanted."""


def _write(piece: Piece, to: BinaryIO) -> None:
    if piece.stream == "gap":
        what = f"{piece.skipped} bytes of output are" if piece.skipped else "Some output may be"
        output.note(f"{what} left out here; the job's log has what is stored.")
        return
    to.write(piece.data.encode("utf-8", "replace"))
    to.flush()
