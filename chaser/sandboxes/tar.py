"""The tar format (pax, ustar, and GNU's long names), as far as files, directories and links go. Pure.

Python's own `tarfile` trusts what it reads: it holds every member and any length of extended header in memory. What is
read here comes from strangers and is as long as they like, so it is taken apart as it passes, within bounds.
The layout: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

BLOCK = 512
END = bytes(2 * BLOCK)
"""What an archive ends with."""

_OCTAL_SIZE = 8**11
_FIELD = 100
"""Bytes that a name has room for in a plain header."""


class Type(Enum):
    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    DIRECTORY = b"5"
    OTHER = b"?"
    """a device, a FIFO, a sparse file, or what nobody knows"""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry. Names are bytes, as on disk; nothing is promised of them."""

    name: bytes
    type: Type
    size: int = 0
    """How many bytes of data follow; 0 for all but files."""
    mode: int = 0o644
    mtime: int = 0
    link: bytes = b""
    """Where a link points to."""


def header(member: Member, uid: int, gid: int) -> bytes:
    """The entry's header, ready to be followed by its data and `padding`."""
    extended: dict[bytes, bytes] = {}
    if len(member.name) > _FIELD:
        extended[b"path"] = member.name
    if len(member.link) > _FIELD:
        extended[b"linkpath"] = member.link
    if member.size >= _OCTAL_SIZE:
        extended[b"size"] = b"%d" % member.size
    plain = _block(member, member.type.value, uid, gid)
    return _extension(extended) + plain if extended else plain


def padding(size: int) -> bytes:
    """What follows `size` bytes of data."""
    return bytes(-size % BLOCK)


def _extension(records: Mapping[bytes, bytes]) -> bytes:
    data = b"".join(_record(key, value) for key, value in records.items())
    carrier = Member(b"pax", Type.OTHER, size=len(data))
    return _block(carrier, b"x", 0, 0) + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    r"""`<length> <key>=<value>\n`, where the length counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(member: Member, type_flag: bytes, uid: int, gid: int) -> bytes:
    size = member.size if member.size < _OCTAL_SIZE else 0
    fields = (
        member.name[:_FIELD].ljust(_FIELD, b"\0"),
        b"%07o\0" % (member.mode & 0o7777),
        _number(uid),
        _number(gid),
        b"%011o\0" % size,
        b"%011o\0" % min(max(member.mtime, 0), _OCTAL_SIZE - 1),
        b" " * 8,
        type_flag,
        member.link[:_FIELD].ljust(_FIELD, b"\0"),
        b"ustar\00000",
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _number(value: int) -> bytes:
    """Eight bytes: octal, or where that is too short GNU's base 256."""
    return b"%07o\0" % value if value < 8**7 else b"\x80" + value.to_bytes(7, "big")
