"""Unpacking a tar as it arrives, from whom nothing good is expected."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfileobj

from chaser.cli.failure import Failure
from chaser.cli.out_folder import OutFolder, refused

_PIECE_BYTES = 256 * 1024


@dataclass
class Unpacked:
    entries: int = 0
    refusals: list[Failure] = field(default_factory=list[Failure])
    """What was left out, and why."""


def unpack(chunks: Iterator[bytes], root: Path) -> Unpacked:
    """Everything that may be written below `root`. Raises `Failure` if it is no tar, or not a whole one."""
    done, links = Unpacked(), dict[str, str]()
    try:
        with OutFolder(root) as folder, tarfile.open(fileobj=_Stream(chunks), mode="r|") as archive:
            for member in archive:
                if member.issym():
                    links[member.name] = member.linkname
                    continue
                try:
                    _put(archive, member, folder)
                    done.entries += 1
                except Failure as failure:
                    done.refusals.append(failure)
            # last, so that nothing can be meant to go through one
            outside = folder.links(links)
    except tarfile.TarError as error:
        raise Failure("bad_archive", f"The files did not arrive whole: {error}.", 1) from error
    done.entries += len(links) - len(outside)
    done.refusals += outside
    return done


def _put(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: OutFolder) -> None:
    if member.isdir():
        if member.name.strip("./"):
            folder.folder(member.name)
    elif member.islnk():
        folder.twin(member.name, member.linkname)
    elif member.isreg() and not member.issparse():
        content = archive.extractfile(member)
        assert content is not None, "a regular file has content"
        with folder.file(member.name, executable=bool(member.mode & 0o100)) as file:
            copyfileobj(content, file, _PIECE_BYTES)
    else:
        raise refused(member.name, "it is a device or another special file")


class _Stream(io.RawIOBase):
    """Pieces as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return b""
            self._rest = piece
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken
