"""Taking the files that match out of the engine's archives, within bounds. Blocks; for a worker thread.

The archives show what a stranger's command has left. Of a member only its data, its permission bits and a path that is
kept as text are taken over: the content goes into files that are named here, and no link is followed.
"""

import os
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from chaser.sandboxes.files import LONGEST_ARTIFACT_PATH, Artifact
from chaser.sandboxes.globs import Glob
from chaser.sandboxes.tar import Member, Type
from chaser.sandboxes.tar_reader import TarReader


@dataclass(frozen=True, slots=True)
class HarvestLimits:
    """Of what one job leaves."""

    files: int = 1000
    size_bytes: int = 1 << 30
    """of all files together"""
    scanned_bytes: int = 10 << 30
    """of all that is looked through: the engine shows whole directories"""
    time: timedelta = timedelta(minutes=5)


class Harvest:
    """One job's. `folder` takes the contents; it is this job's own."""

    def __init__(self, globs: Sequence[Glob], base: str, folder: Path, limits: HarvestLimits) -> None:
        self._globs = globs
        self._base = base.rstrip("/") + "/"
        self._folder = folder
        self._limits = limits
        self._batch = secrets.token_hex(8)
        self._root = "/"
        self._reader = TarReader()
        self._taken: dict[str, Artifact] = {}
        """By absolute path, as it is in the sandbox."""
        self._reached: set[str] = set()
        self._bytes = 0
        self._scanned = 0
        self._open: tuple[str, Artifact, BinaryIO] | None = None
        self._missing = 0
        """Bytes of the open file that are still to come."""
        self._left_out: Counter[str] = Counter()
        self.full = False
        """Whether to look no further."""
        self.linked: list[str] = []
        """Hard links to files that were not taken: the engine shows each as a file if it is asked for alone."""

    @property
    def artifacts(self) -> Sequence[Artifact]:
        return list(self._taken.values())

    @property
    def left_out(self) -> str | None:
        """What matched and was not taken, in a sentence."""
        if not self._left_out:
            return None
        return "Left out: " + "; ".join(f"{what} ({count})" for what, count in self._left_out.items()) + "."

    def miss(self, what: str) -> None:
        """Note that something is left out."""
        self._left_out[what] += 1

    def look_at(self, root: str) -> None:
        """What is fed from now on is an archive of `root`."""
        self.abandon()
        self._root = root
        self._reader = TarReader()

    def feed(self, piece: bytes) -> None:
        """Raises `BadTar` where the engine's archive is none, `OSError` where the disk takes no more."""
        self._scanned += len(piece)
        for item in self._reader.feed(piece):
            if isinstance(item, Member):
                self._member(item)
            elif self._open is not None:
                self._open[2].write(item)
                self._missing -= len(item)
            if self._open is not None and not self._missing:
                self._close()
            if self.full:
                return
        if self._scanned > self._limits.scanned_bytes:
            self._stop(f"what lies beyond the first {self._limits.scanned_bytes} bytes of all that is there")

    def end(self) -> None:
        """The archive has ended; raises `BadTar` if not by itself."""
        self._reader.finish()

    def abandon(self) -> None:
        """Drop the file whose data has not all come."""
        if self._open is not None:
            path, artifact, content = self._open
            self._open = None
            with suppress(OSError):  # a full disk is what it may be abandoned for
                content.close()
            (self._folder / artifact.file).unlink(missing_ok=True)
            self._reached.discard(path)
            self._bytes -= artifact.size_bytes

    def discard(self) -> None:
        """Remove all that was taken."""
        self.abandon()
        for artifact in self._taken.values():
            (self._folder / artifact.file).unlink(missing_ok=True)

    def _stop(self, why: str) -> None:
        self.abandon()
        self.full = True
        self.miss(why)

    def _member(self, member: Member) -> None:
        path = _path(self._root, member.name)
        if member.type is Type.DIRECTORY or path is None or path in self._reached:
            return
        if not any(glob.matches(path) for glob in self._globs):
            return
        self._reached.add(path)
        match member.type:
            case Type.FILE:
                self._take(path, member)
            case Type.HARD_LINK:
                self._reached.discard(path)
                self.linked.append(path)
            case _:
                self.miss("what is no regular file")

    def _take(self, path: str, member: Member) -> None:
        name = self._shown(path)
        limits = self._limits
        if len(name.encode()) > LONGEST_ARTIFACT_PATH:
            self.miss(f"a file whose path is longer than {LONGEST_ARTIFACT_PATH} bytes")
        elif any(name == artifact.path for artifact in self._taken.values()):
            self.miss("a file whose path, as it is shown, is another's too")
        elif len(self._taken) >= limits.files:
            self._stop(f"what lies beyond the {limits.files} files that a job may leave")
        elif self._bytes + member.size > limits.size_bytes:
            self.miss(f"a file beyond the {limits.size_bytes} bytes that a job may leave")
        else:
            artifact = Artifact(name, member.size, member.mode & 0o777, f"{self._batch}-{len(self._taken)}")
            descriptor = os.open(self._folder / artifact.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._bytes += member.size
            self._open, self._missing = (path, artifact, os.fdopen(descriptor, "wb")), member.size

    def _close(self) -> None:
        """The open file's data has all come."""
        assert self._open is not None
        path, artifact, content = self._open
        content.flush()
        os.fsync(content.fileno())
        content.close()
        self._open = None
        self._taken[path] = artifact

    def _shown(self, path: str) -> str:
        r"""Relative to the job's directory where it is below it. What is not UTF-8 is written as `\xNN`."""
        relative = path.removeprefix(self._base).lstrip("/")
        return relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _path(root: str, name: bytes) -> str | None:
    """Where in the sandbox a member of an archive of `root` is; none where its name makes no sense.

    The engine names members from the last part of what was asked for on, and from `/` on for the root itself.
    """
    below = name if root == "/" else name.partition(b"/")[2]
    parts = [part for part in below.split(b"/") if part]
    if b"\0" in name or b".." in parts or b"." in parts:
        return None
    return "/".join([root.rstrip("/"), *(part.decode("utf-8", "surrogateescape") for part in parts)])
