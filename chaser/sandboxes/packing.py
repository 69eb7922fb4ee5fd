"""An upload as the tar that the engine unpacks: every owner, mode and name in it is ours. Blocks; for a worker thread."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chaser.blocking import to_its_end
from chaser.sandboxes.owner import Owner
from chaser.sandboxes.spec import RootFile
from chaser.sandboxes.tar import END, Member, Type, header, padding
from chaser.sandboxes.tar_contents import Contents
from chaser.sandboxes.tar_reader import TarReader

PIECE = 256 * 1024
DIRECTORY_MODE = 0o755
"""The directories are the user's own, so that it may write beside what is in them."""
_RUNNABLE = 0o111


@dataclass(frozen=True, slots=True)
class Package:
    """The content of an upload, for one place: below directories that are made, or as the file of that name."""

    content: Path
    is_tar: bool
    size_bytes: int
    mtime: int
    owner: Owner

    def stream(self, above: Sequence[str], name: str) -> Iterator[bytes]:
        """The tar. `above`: directories to make; `name`: the file's, or that of the directory that a tar goes into."""
        made = [*above, name] if self.is_tar and name else list(above)
        for depth in range(1, len(made) + 1):
            yield self._head(Member(_joined(made[:depth]), Type.DIRECTORY, mtime=self.mtime))
        yield from self._unpacked(_joined(made)) if self.is_tar else self._file(_joined([*above, name]))
        yield END

    def _file(self, name: bytes) -> Iterator[bytes]:
        yield self._head(Member(name, Type.FILE, self.size_bytes, mtime=self.mtime))
        with self.content.open("rb") as content:
            while piece := content.read(PIECE):
                yield piece
        yield padding(self.size_bytes)

    def _unpacked(self, below: bytes) -> Iterator[bytes]:
        reader, contents = TarReader(), Contents()
        left: Member | None = None
        with self.content.open("rb") as content:
            while piece := content.read(PIECE):
                for item in reader.feed(piece):
                    if isinstance(item, bytes):
                        yield item
                        continue
                    if left is not None:
                        yield padding(left.size)
                    left = contents.admit(item)
                    if left is not None:
                        yield self._head(_moved(left, below))
        if left is not None:
            yield padding(left.size)

    def _head(self, member: Member) -> bytes:
        return header(replace(member, mode=_mode(member)), self.owner.uid, self.owner.gid)


def of_root(files: Iterable[RootFile]) -> bytes:
    """A tar of files that are root's, with their directories, for all to read."""
    tar = bytearray()
    for file in files:
        parts = [part for part in file.directory.split("/") if part]
        for depth in range(1, len(parts) + 1):
            tar += header(Member(_joined(parts[:depth]), Type.DIRECTORY, mode=0o755), 0, 0)
        size = len(file.content)
        tar += header(Member(_joined([*parts, file.name]), Type.FILE, size, mode=0o444), 0, 0)
        tar += file.content + padding(size)
    return bytes(tar + END)


def _mode(member: Member) -> int:
    """Readable by all, writable by its owner, as runnable as it was; never setuid."""
    if member.type is Type.DIRECTORY:
        return DIRECTORY_MODE
    return 0o755 if member.mode & _RUNNABLE else 0o644


def _moved(member: Member, below: bytes) -> Member:
    if not below:
        return member
    link = below + b"/" + member.link if member.type is Type.HARD_LINK else member.link
    return replace(member, name=below + b"/" + member.name, link=link)


def _joined(parts: Sequence[str]) -> bytes:
    return "/".join(parts).encode("utf-8", "surrogateescape")


async def in_pieces(source: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """What `source` makes, made in threads."""
    while piece := await to_its_end(partial(_joined_pieces, source)):
        yield piece


def _joined_pieces(source: Iterator[bytes]) -> bytes:
    """The next of it, in one piece."""
    piece = bytearray()
    for part in source:
        piece += part
        if len(piece) >= PIECE:
            break
    return bytes(piece)
