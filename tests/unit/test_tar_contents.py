"""What a tar may hold. The judge is the file system: whatever is admitted is unpacked, and nothing is found outside."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.sandboxes import tar_contents
from chaser.sandboxes.tar import Member, Type
from chaser.sandboxes.tar_contents import Contents, Unfit

PARTS = st.sampled_from([b"a", b"b", b"c", b"..", b".", b"", b"\xff"])
PATHS = st.lists(PARTS, max_size=5).map(b"/".join)
MEMBERS = st.builds(
    Member, name=PATHS, type=st.sampled_from(list(Type)), size=st.just(0), mode=st.just(0o644), link=PATHS
)


def admitted(members: list[Member]) -> list[Member]:
    """Those that pass, each alone: what is refused counts as not sent."""
    contents, passed = Contents(), list[Member]()
    for member in members:
        try:
            found = contents.admit(member)
        except Unfit:
            continue
        if found is not None:
            passed.append(found)
    return passed


def unpack(member: Member, root: Path) -> None:
    """As naively as can be."""
    path = root / os.fsdecode(member.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    match member.type:
        case Type.FILE:
            path.write_bytes(b"new")
        case Type.DIRECTORY:
            path.mkdir(exist_ok=True)
        case Type.SYMLINK:
            path.symlink_to(os.fsdecode(member.link))
        case Type.HARD_LINK:
            path.hardlink_to(root / os.fsdecode(member.link))
        case Type.OTHER:
            raise AssertionError("a device was let in")


def in_circles(path: Path) -> bool:
    """Whether a link leads to itself: then it leads nowhere else."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


@given(st.lists(MEMBERS, max_size=8))
def test_nothing_that_is_admitted_gets_outside(members: list[Member]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory).resolve()
        root = top / "deep" / "root"
        root.mkdir(parents=True)
        for member in admitted(members):
            unpack(member, root)
        for path in root.rglob("*"):
            assert in_circles(path) or path.resolve().is_relative_to(root), (path, members)
        assert [*top.iterdir()] == [top / "deep"]
        assert [*(top / "deep").iterdir()] == [root]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([Member(b"/etc/passwd", Type.FILE)], "absolute"),
        ([Member(b"a/../../b", Type.FILE)], "leads out"),
        ([Member(b"x", Type.OTHER)], "neither"),
        ([Member(b"l", Type.SYMLINK, link=b"/etc")], "leads out"),
        ([Member(b"l", Type.SYMLINK, link=b"..")], "leads out"),
        ([Member(b"d/l", Type.SYMLINK, link=b"../..")], "leads out"),
        ([Member(b"l", Type.SYMLINK, link=b"a/../../x")], "climbs"),
        ([Member(b"l", Type.SYMLINK, link=b"d"), Member(b"l/x", Type.FILE)], "beneath"),
        ([Member(b"d/x", Type.FILE), Member(b"d", Type.SYMLINK, link=b"e")], "twice"),
        ([Member(b"f", Type.FILE), Member(b"f/x", Type.FILE)], "beneath"),
        ([Member(b"f", Type.FILE), Member(b"./f", Type.FILE)], "twice"),
        ([Member(b"h", Type.HARD_LINK, link=b"f")], "hard link"),
        ([Member(b"h", Type.HARD_LINK, link=b"../f")], "leads out"),
        ([Member(b"l", Type.SYMLINK, link=b"x"), Member(b"h", Type.HARD_LINK, link=b"l")], "hard link"),
        ([Member(b"a" * 256, Type.FILE)], "too long"),
        ([Member(b"a/" * 3000 + b"a", Type.FILE)], "too long"),
        ([Member(b"a\0b", Type.FILE)], "NUL"),
        ([Member(b".", Type.FILE)], "no name"),
    ],
)
def test_what_may_not_be_unpacked_is_named(members: list[Member], why: str) -> None:
    contents = Contents()
    for member in members[:-1]:
        assert contents.admit(member) is not None

    with pytest.raises(Unfit, match=why):
        contents.admit(members[-1])


def test_what_stays_inside_is_taken_with_its_normal_name() -> None:
    passed = admitted(
        [
            Member(b"./", Type.DIRECTORY),
            Member(b"./d/", Type.DIRECTORY),
            Member(b"d", Type.DIRECTORY),
            Member(b"./d//f", Type.FILE),
            Member(b"d/h", Type.HARD_LINK, link=b"./d/f"),
            Member(b"d/e/l", Type.SYMLINK, link=b"../../d/f"),
        ]
    )

    assert [member.name for member in passed] == [b"d", b"d", b"d/f", b"d/h", b"d/e/l"]
    assert passed[3].link == b"d/f"


def test_the_number_of_members_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_contents, "MOST_MEMBERS", 3)
    contents = Contents()
    for number in range(3):
        contents.admit(Member(b"%d" % number, Type.FILE))

    with pytest.raises(Unfit, match="too much"):
        contents.admit(Member(b"one more", Type.FILE))
