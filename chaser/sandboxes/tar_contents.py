"""What a tar may hold that is to be unpacked: files, directories, and links that stay inside. Pure.

Nothing may lie beneath a link, and a link's target climbs only with leading `..`; so each name is what it looks like,
and where a link leads can be told without following others.
"""

import posixpath
from dataclasses import replace

from chaser.sandboxes.tar import Member, Type

MOST_MEMBERS = 200_000
MOST_NAME_BYTES = 32 << 20
"""Of all names together: they are held in memory while a tar is checked."""
LONGEST_NAME = 4096
LONGEST_PART = 255


class Unfit(ValueError):
    """This member may not be unpacked. The message names it, and says why."""

    def __init__(self, name: bytes, why: str) -> None:
        shown = name[:200].decode("utf-8", "backslashreplace") + ("…" if len(name) > 200 else "")
        super().__init__(f"{shown!r} {why}")


class Contents:
    """Holds each member against those before it, in their order."""

    def __init__(self) -> None:
        self._types: dict[bytes, Type] = {}
        """By normal name; a directory that is only implied is one too."""
        self._members = 0
        self._name_bytes = 0

    def admit(self, member: Member) -> Member | None:
        """The member with its normal name; none where there is nothing to do (the root itself). Raises `Unfit`."""
        self._members += 1
        self._name_bytes += len(member.name) + len(member.link)
        if self._members > MOST_MEMBERS or self._name_bytes > MOST_NAME_BYTES:
            why = f"is too much: a tar may have {MOST_MEMBERS} members, and {MOST_NAME_BYTES} bytes of names"
            raise Unfit(member.name, why)
        name = _normal(member.name)
        match member.type:
            case Type.OTHER:
                raise Unfit(member.name, "is neither a file nor a directory nor a link")
            case Type.DIRECTORY if not name:
                return None
            case Type.SYMLINK:
                _check_target(name, member)
                link = member.link
            case Type.HARD_LINK:
                link = _normal(member.link)
                if self._types.get(link) is not Type.FILE:
                    raise Unfit(member.name, "is a hard link to what is no earlier file of this tar")
            case Type.FILE | Type.DIRECTORY:
                link = b""
        self._place(name, member)
        return replace(member, name=name, link=link)

    def _place(self, name: bytes, member: Member) -> None:
        if not name:
            raise Unfit(member.name, "has no name of its own")
        parent = posixpath.dirname(name)
        while parent and parent not in self._types:
            self._name_bytes += len(parent)
            self._types[parent] = Type.DIRECTORY
            parent = posixpath.dirname(parent)
        if parent and self._types[parent] is not Type.DIRECTORY:
            raise Unfit(member.name, "lies beneath what is no directory")
        before = self._types.get(name)
        if before is not None and not (before is member.type is Type.DIRECTORY):
            raise Unfit(member.name, "is there twice")
        # a hard link is one more name of a file
        self._types[name] = Type.FILE if member.type is Type.HARD_LINK else member.type


def _normal(name: bytes) -> bytes:
    """Relative, without empty parts, `.` and `..`. Raises `Unfit` where it leads out, or no file system takes it."""
    if name.startswith(b"/"):
        raise Unfit(name, "is an absolute name")
    if b"\0" in name:
        raise Unfit(name, "has a NUL in its name")
    parts = [part for part in name.split(b"/") if part not in {b"", b"."}]
    if b".." in parts:
        raise Unfit(name, "leads out by `..`")
    normal = b"/".join(parts)
    if len(normal) > LONGEST_NAME or any(len(part) > LONGEST_PART for part in parts):
        raise Unfit(name, "has too long a name")
    return normal


def _check_target(name: bytes, member: Member) -> None:
    """Raises `Unfit` unless a symbolic link stays inside: it climbs at most as high as it lies, and then only descends."""
    target = member.link
    if not target or target.startswith(b"/") or b"\0" in target or len(target) > LONGEST_NAME:
        raise Unfit(member.name, "is a symbolic link that leads out: its target must be a relative path")
    parts = [part for part in target.split(b"/") if part not in {b"", b"."}]
    climbs = 0
    while parts[climbs : climbs + 1] == [b".."]:
        climbs += 1
    if climbs > name.count(b"/") or b".." in parts[climbs:]:
        raise Unfit(
            member.name, "is a symbolic link that leads out, or whose target climbs after it descends"
        )
