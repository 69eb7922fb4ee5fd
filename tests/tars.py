"""Tars for tests, as other programs write them."""

import io
import tarfile
from collections.abc import Sequence

from chaser.sandboxes.tar import Member
from chaser.sandboxes.tar_reader import TarReader


def info(
    name: str, kind: bytes = tarfile.REGTYPE, *, size: int = 0, link: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname, made.mode = kind, size, link, mode
    return made


def tarred(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar as Python writes it, whatever the names."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form, errors="surrogateescape") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def files(**contents: bytes) -> bytes:
    return tarred(*((info(name), data) for name, data in contents.items()))


def read_all(tar: bytes, piece: int = 1 << 20) -> Sequence[tuple[Member, bytes]]:
    """What our own reader makes of it, fed in pieces of that size."""
    reader, found = TarReader(), list[tuple[Member, bytes]]()
    for at in range(0, len(tar), piece):
        for item in reader.feed(tar[at : at + piece]):
            if isinstance(item, Member):
                found.append((item, b""))
            else:
                member, data = found[-1]
                found[-1] = (member, data + item)
    reader.finish()
    return found
