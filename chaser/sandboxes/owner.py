"""Who a sandbox's processes are, in numbers: whose the files must be that are put there. Pure."""

from dataclasses import dataclass

from chaser.sandboxes.engine import Image
from chaser.sandboxes.hardening import NOBODY
from chaser.sandboxes.spec import Isolation, SandboxSpec

PASSWD = "/etc/passwd"  # noqa: S105 # the file in the sandbox that says which number a name has
GROUP = "/etc/group"
_HIGHEST = 1 << 31


@dataclass(frozen=True, slots=True)
class Owner:
    uid: int
    gid: int


def user_of(spec: SandboxSpec, image: Image) -> str:
    """The user as the engine is told it: names or numbers, `user` or `user:group`."""
    return NOBODY if spec.isolation is Isolation.STRICT else spec.user or image.user or "0"


def numeric(user: str) -> Owner | None:
    """The owner, if `user` says all of it in numbers; root's group is root's."""
    name, _, group = user.partition(":")
    uid, gid = _number(name), _number(group)
    if uid is not None and gid is not None:
        return Owner(uid, gid)
    return Owner(0, 0) if user in {"", "0", "root"} else None


def looked_up(user: str, passwd: bytes, group: bytes) -> Owner:
    """The owner by the sandbox's own files, as the engine reads them. Who is in none is taken for root: the engine
    would not have started a sandbox for a name that is nobody's."""
    name, _, wanted = user.partition(":")
    uid, gid = _number(name) or 0, 0
    for line in passwd.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and name in fields[0:3:2]:
            uid, gid = _number(fields[2]) or 0, _number(fields[3]) or 0
            break
    return Owner(uid, _group(wanted, group, gid) if wanted else gid)


def _group(wanted: str, group: bytes, otherwise: int) -> int:
    number = _number(wanted)
    if number is not None:
        return number
    for line in group.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 3 and fields[0] == wanted:
            return _number(fields[2]) or 0
    return otherwise


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text[:11]) < _HIGHEST else None
