"""A folder as a tar, made piece by piece: what git would leave out is left out, and nothing leads out of the folder."""

import os
import stat
import tarfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from chaser.cli import output
from chaser.cli.failure import Failure
from chaser.cli.gitignore import GitIgnore

_PIECE_BYTES = 256 * 1024
_END = bytes(2 * tarfile.BLOCKSIZE)


class Tarball:
    """Iterated once, it yields the tar's bytes. A folder's entries are named from it on, a single file by its name."""

    def __init__(self, source: Path, *, whole: bool) -> None:
        """`whole`: with `.git`, and with what `.gitignore` names."""
        self._source = source
        self._root = source.resolve() if source.is_dir() else source.resolve().parent
        self._whole = whole
        self.entries = 0
        self.size = 0
        self._left_out = list[str]()

    def __iter__(self) -> Iterator[bytes]:
        if self._source.is_dir():
            yield from self._folder(self._root, GitIgnore.of(self._root))
        else:
            yield from self._entry(self._source.resolve())
        yield _END

    def tell(self) -> None:
        """What was taken, and what could not be."""
        output.note(f"Handed over {self._source}: {self.entries} entries, {self.size} bytes.")
        if self._left_out:
            shown = ", ".join(map(output.printable, self._left_out[:5]))
            more = ", …" if len(self._left_out) > 5 else ""
            output.note(
                f"Left out are {len(self._left_out)} links that lead out of it and special files: {shown}{more}"
            )

    def _folder(self, folder: Path, rules: GitIgnore) -> Iterator[bytes]:
        inner = rules.within(folder)
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            path, is_folder = Path(entry.path), entry.is_dir(follow_symlinks=False)
            if not self._whole and (entry.name == ".git" or inner.names(path, is_folder=is_folder)):
                continue
            yield from self._entry(path)
            if is_folder:
                yield from self._folder(path, inner)

    def _entry(self, path: Path) -> Iterator[bytes]:
        status = path.lstat()
        info = tarfile.TarInfo(path.relative_to(self._root).as_posix())
        info.mode, info.mtime = stat.S_IMODE(status.st_mode) & 0o777, int(status.st_mtime)
        match stat.S_IFMT(status.st_mode):
            case stat.S_IFREG:
                yield from self._file(path, info)
            case stat.S_IFDIR:
                info.type = tarfile.DIRTYPE
                yield self._header(info)
            case stat.S_IFLNK if self._stays_inside(path):
                info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
                yield self._header(info)
            case _:
                self._left_out.append(info.name)

    def _file(self, path: Path, info: tarfile.TarInfo) -> Iterator[bytes]:
        with path.open("rb") as file:
            info.size = left = os.fstat(file.fileno()).st_size
            yield self._header(info)
            while left:
                piece = file.read(min(left, _PIECE_BYTES))
                if not piece:
                    raise Failure(
                        "file_changed", f"{output.printable(str(path))} became shorter while it was read.", 1
                    )
                left -= len(piece)
                yield piece
        self.size += info.size
        yield bytes(-info.size % tarfile.BLOCKSIZE)

    def _header(self, info: tarfile.TarInfo) -> bytes:
        self.entries += 1
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def _stays_inside(self, link: Path) -> bool:
        """Whether its target climbs no higher than the link lies, and then only descends: the service takes no other."""
        target = link.readlink()
        climbs = len(list(takewhile(lambda part: part == "..", target.parts)))
        depth = len(link.relative_to(self._root).parts) - 1
        return not target.is_absolute() and climbs <= depth and ".." not in target.parts[climbs:]
