"""A hostile tar writes nothing outside its folder, and what is harmless in it arrives."""

import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from chaser.cli.failure import Failure
from chaser.cli.out_folder import OutFolder
from chaser.cli.untar import Unpacked, unpack


def entry(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def unpacked(root: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Unpacked:
    content = tar(*entries)
    return unpack((content[at : at + 700] for at in range(0, len(content), 700)), root)


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


HARMLESS = entry("good", b"good")
HOSTILE = [
    [entry("../out")],
    [entry("a/../../out")],
    [entry("/tmp/chaser-out")],
    [entry("..")],
    [entry("", b"")],
    [entry(".git/hooks/post-checkout")],
    [entry("sub/.GIT/config")],
    [entry("link", kind=tarfile.SYMTYPE, link="/etc/passwd")],
    [entry("link", kind=tarfile.SYMTYPE, link="../out")],
    [entry("link", kind=tarfile.SYMTYPE, link=".."), entry("link/out")],
    [entry("hard", kind=tarfile.LNKTYPE, link="../secret")],
    [entry("hard", kind=tarfile.LNKTYPE, link="/etc/passwd")],
    [entry("hard", kind=tarfile.LNKTYPE, link="not-there")],
    [entry("pipe", kind=tarfile.FIFOTYPE)],
    [entry("disk", kind=tarfile.BLKTYPE)],
    [entry("good/below")],
    [entry("x" * 300)],
    [
        entry("deep/a", kind=tarfile.SYMTYPE, link="../top"),
        entry("top", kind=tarfile.DIRTYPE),
        entry("b", kind=tarfile.SYMTYPE, link="deep/a/../.."),
    ],
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_entry_is_refused_and_the_others_arrive(
    tmp_path: Path, hostile: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    done = unpacked(root, HARMLESS, *hostile, entry("also/good", b"also"))
    assert len(done.refusals) == 1
    assert (root / "good").read_bytes() == b"good"
    assert (root / "also" / "good").read_bytes() == b"also"
    assert {each for each in everything(tmp_path) if not each.startswith("root")} == {"secret"}
    assert (tmp_path / "secret").stat().st_nlink == 1
    for path in root.rglob("*"):
        assert Path(os.path.realpath(path)).is_relative_to(root)
        assert path.name != "post-checkout"


def test_what_is_harmless_arrives_as_it_was(tmp_path: Path) -> None:
    program, content = entry("./bin/run", b"#!")
    program.mode = 0o4755
    done = unpacked(
        tmp_path,
        entry("./", kind=tarfile.DIRTYPE),
        entry("empty", kind=tarfile.DIRTYPE),
        (program, content),
        entry("twin", kind=tarfile.LNKTYPE, link="bin/run"),
        entry("lib/link", kind=tarfile.SYMTYPE, link="../bin/run"),
    )
    assert done.refusals == []
    assert (tmp_path / "bin" / "run").stat().st_mode & 0o7100 == 0o100
    assert (tmp_path / "twin").samefile(tmp_path / "bin" / "run")
    assert (tmp_path / "lib" / "link").read_bytes() == b"#!"
    assert (tmp_path / "empty").is_dir()


def test_links_that_lie_there_already_are_replaced_and_not_followed(tmp_path: Path) -> None:
    """An earlier, hostile run may have left them."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to("../secret")
    (root / "folder").symlink_to("..")
    done = unpacked(root, entry("file", b"new"), entry("folder/secret", b"new"))
    assert [each.details["path"] for each in done.refusals] == ["folder/secret"]
    assert (tmp_path / "secret").read_text() == "secret"
    assert (root / "file").read_bytes() == b"new"
    assert not (root / "file").is_symlink()


def test_a_tar_that_ends_early_leaves_no_half_file(tmp_path: Path) -> None:
    content = tar(entry("whole"), entry("half", b"y" * 5000))
    with pytest.raises(Failure, match="whole"):
        unpack(iter([content[:3000]]), tmp_path)
    assert everything(tmp_path) == {"whole"}


def test_what_is_no_tar_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure):
        unpack(iter([b"<html>" * 200]), tmp_path)


def test_a_file_that_cannot_be_finished_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    with (
        OutFolder(tmp_path) as folder,
        suppress(KeyboardInterrupt),
        folder.file("a", executable=False) as file,
    ):
        file.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_text() == "before"
    assert everything(tmp_path) == {"a"}
