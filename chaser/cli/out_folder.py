"""A folder that files from a sandbox are put into: nothing is ever written outside it, and no link is followed.

Whoever names the files may be hostile, and so may be what lies in the folder already, from an earlier run. So each part
of a path is opened by itself, below the one before, and never through a link; and a file comes under its name only when
it is whole.
"""

import errno
import os
import secrets
import stat
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from chaser.cli import output
from chaser.cli.failure import Failure

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GIT = ".git"
_NAMES_FAULTS = frozenset(
    {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT}
)
"""What a name can be to blame for: a link or a file where a folder should be, say."""


def refused(path: str, why: str) -> Failure:
    return Failure("unsafe_path", f"{output.printable(path)!r} is not written: {why}.", 1, {"path": path})


def parts(path: str) -> Sequence[str]:
    """The names of a relative path. Raises `Failure` for one that could lead elsewhere, or into git's own files."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    if path.startswith("/") or ".." in names or "\0" in path or not names:
        raise refused(path, "it leads out of the folder")
    if any(name.casefold() == _GIT for name in names):
        raise refused(path, "what lies in .git can make git run commands")
    return names


class OutFolder:
    def __init__(self, root: Path) -> None:
        """Made if it is not there. Links that lead to the folder itself are the caller's own, and followed."""
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._top)

    @contextmanager
    def file(self, path: str, *, executable: bool) -> Generator[BinaryIO]:
        """A file to write to, which replaces what has its name when the block ends well."""
        names = parts(path)
        with self._told(path), self._folder(names[:-1]) as folder:
            unfinished = f".chaser-{secrets.token_hex(8)}"
            handle = os.open(unfinished, _NEW_FILE, 0o777 if executable else 0o666, dir_fd=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    yield file
                os.replace(unfinished, names[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(unfinished, dir_fd=folder)
                raise

    def folder(self, path: str) -> None:
        with self._told(path), self._folder(parts(path)):
            pass

    def links(self, wanted: Mapping[str, str]) -> list[Failure]:
        """Symbolic links, by path; those that lead out of the folder, now that all are there, are removed again."""
        made, refusals = list[str](), list[Failure]()
        for path, target in wanted.items():
            try:
                self._link(path, target)
                made.append(path)
            except Failure as failure:
                refusals.append(failure)
        for path in [each for each in made if not self._holds(each)]:
            self._remove(path)
            refusals.append(refused(path, "it is a link that leads out of the folder"))
        return refusals

    def twin(self, path: str, of: str) -> None:
        """A second name of a file that lies in the folder."""
        first, second = parts(of), parts(path)
        with self._told(path), self._folder(first[:-1]) as source, self._folder(second[:-1]) as folder:
            if not stat.S_ISREG(os.stat(first[-1], dir_fd=source, follow_symlinks=False).st_mode):
                raise refused(path, "it is a second name of what is no file")
            _make_room(folder, second[-1])
            os.link(first[-1], second[-1], src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)

    def _link(self, path: str, target: str) -> None:
        names = parts(path)
        with self._told(path), self._folder(names[:-1]) as folder:
            _make_room(folder, names[-1])
            os.symlink(target, names[-1], dir_fd=folder)

    def _holds(self, path: str) -> bool:
        """Whether `path`, all links followed, still lies in the folder."""
        found = os.path.realpath(self._root.joinpath(*parts(path)))
        return Path(found).is_relative_to(os.path.realpath(self._root))

    def _remove(self, path: str) -> None:
        names = parts(path)
        with self._told(path), self._folder(names[:-1]) as folder, suppress(FileNotFoundError):
            os.unlink(names[-1], dir_fd=folder)

    @contextmanager
    def _folder(self, names: Sequence[str]) -> Generator[int]:
        """The open folder of these names, made where it is missing."""
        opened = os.dup(self._top)
        try:
            for name in names:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=opened)
                inner = os.open(name, _FOLDER, dir_fd=opened)
                os.close(opened)
                opened = inner
            yield opened
        finally:
            os.close(opened)

    @contextmanager
    def _told(self, path: str) -> Generator[None]:
        try:
            yield
        except UnicodeEncodeError:
            raise refused(path, "its name cannot be written") from None
        except OSError as error:
            why = (error.strerror or "the system refuses it").lower()
            if error.errno in _NAMES_FAULTS:
                raise refused(path, why) from error
            message = f"{output.printable(path)!r} cannot be written into {self._root}: {why}."
            raise Failure("unwritable", message, 1) from error


def _make_room(folder: int, name: str) -> None:
    """Remove what has the name of a new entry, unless it is a folder."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise IsADirectoryError(errno.EISDIR, "a folder has that name")
        os.unlink(name, dir_fd=folder)
