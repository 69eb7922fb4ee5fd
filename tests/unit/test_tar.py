"""Reading and writing tars, held against Python's own tarfile."""

import io
import tarfile
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaser.sandboxes.tar import END, Member, Type, header, padding
from chaser.sandboxes.tar_reader import MOST_EXTENDED, BadTar, TarReader
from tests.tars import files, info, read_all, tarred

NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and name[-1:] != b"/")
FORMATS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


def text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


@given(st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=5), FORMATS, st.integers(1, 2000))
def test_what_tarfile_writes_is_read_whole_in_pieces_of_any_size(
    members: list[tuple[bytes, bytes]], form: int, piece: int
) -> None:
    tar = tarred(*((info(text(name)), data) for name, data in members), form=form)

    found = read_all(tar, piece)

    assert [(member.name, data) for member, data in found] == members
    assert {member.type for member, _ in found} <= {Type.FILE}


@example(b"\x1f\x8b begins as gzip does", Type.FILE, b"x", 0o644, 0, 0)
@given(
    NAMES.filter(lambda name: not name.startswith(b"/")),
    st.sampled_from([Type.FILE, Type.SYMLINK, Type.HARD_LINK, Type.DIRECTORY]),
    NAMES,
    st.integers(0, 0o777),
    st.integers(0, 1 << 31),
    st.integers(0, 1 << 33),
)
def test_what_is_written_is_read_by_tarfile(
    name: bytes, kind: Type, link: bytes, mode: int, uid: int, mtime: int
) -> None:
    data = b"data" if kind is Type.FILE else b""
    link = b"" if kind in {Type.FILE, Type.DIRECTORY} else link
    member = Member(name, kind, len(data), mode, mtime, link)
    tar = header(member, uid, 7) + data + padding(len(data)) + END

    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as opened:
        (read,) = opened.getmembers()

    assert (text(name), kind.value, mode, uid, 7) == (read.name, read.type, read.mode, read.uid, read.gid)
    assert (text(link), len(data), min(mtime, 8**11 - 1)) == (read.linkname, read.size, read.mtime)
    assert read_all(tar) == [(replace(member, mtime=min(mtime, 8**11 - 1)), data)]


def test_a_size_beyond_octal_is_told_both_ways() -> None:
    member = Member(b"large", Type.FILE, size=9 << 30)
    gnu = info("large", size=9 << 30).tobuf(tarfile.GNU_FORMAT)

    assert [*TarReader().feed(header(member, 0, 0))] == [member]
    assert [each.size for each in TarReader().feed(gnu) if isinstance(each, Member)] == [9 << 30]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE])
def test_what_is_no_file_is_told_apart(kind: bytes) -> None:
    ((member, _),) = read_all(tarred((info("x", kind), b"")))

    assert member.type is Type.OTHER


@pytest.mark.parametrize(
    ("tar", "why"),
    [
        (b"", "empty"),
        (b"short", "too short"),
        (b"no tar at all" * 100, "checksum"),
        (b"\x1f\x8b" + bytes(600), "gzip"),
        (files(a=b"x" * 2000)[:1200], "cut off"),
        (files(a=b"x" * 2000)[:2560], "cut off"),
        (files(a=b"x") + b"more" * 128, "after its end"),
        (files(a=b"x")[:1024] + b"\xff" * 512 + END, "checksum"),
    ],
)
def test_what_is_no_whole_tar_is_refused(tar: bytes, why: str) -> None:
    with pytest.raises(BadTar, match=why):
        read_all(tar)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_an_extended_header_is_not_held_in_memory_however_long_it_says_it_is(kind: bytes) -> None:
    head = info("x", kind)
    head.size = MOST_EXTENDED + 1

    with pytest.raises(BadTar, match="extended header"):
        list(TarReader().feed(head.tobuf(tarfile.USTAR_FORMAT)))


@pytest.mark.parametrize(
    "content", [b"12 path=a", b"999 path=a\n", b"x path=a\n", b" path=a\n", b"9 path a\n", b"0 path=a\n"]
)
def test_a_damaged_extended_header_is_refused(content: bytes) -> None:
    head = info("x", b"x")
    head.size = len(content)

    with pytest.raises(BadTar):
        list(TarReader().feed(head.tobuf(tarfile.USTAR_FORMAT) + content + padding(len(content))))


@given(st.binary(max_size=4000), st.integers(1, 700))
def test_no_bytes_at_all_do_more_than_be_refused(tar: bytes, piece: int) -> None:
    with pytest.raises(BadTar):
        read_all(b"\1" + tar, piece)


@given(st.data())
def test_a_tar_with_damage_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(files(a=b"x" * 600, b=b"y"))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_all(bytes(whole))
    except BadTar:
        return
    assert sum(member.size for member, _ in found) == sum(len(content) for _, content in found)
