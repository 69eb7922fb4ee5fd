"""What of a folder is handed over: what git would see, and nothing that leads out of it."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from chaser.cli.tarball import Tarball


def members(source: Path, *, whole: bool = False) -> dict[str, tarfile.TarInfo]:
    content = b"".join(Tarball(source, whole=whole))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: member for member in archive}


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_folder_arrives_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, **{"a": "x" * 1000, "sub/b": "", "sub/ü \n": "y"})
    (tmp_path / "a").chmod(0o755)
    (tmp_path / "empty").mkdir()
    content = io.BytesIO(b"".join(Tarball(tmp_path, whole=False)))
    with tarfile.open(fileobj=content) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out" / "a").read_text() == "x" * 1000
    assert (tmp_path / "out" / "sub" / "ü \n").read_text() == "y"
    assert (tmp_path / "out" / "empty").is_dir()
    assert os.access(tmp_path / "out" / "a", os.X_OK)
    assert members(tmp_path)["a"].uname == ""


def test_a_single_file_is_named_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, a="x", b="y")
    assert set(members(tmp_path / "a")) == {"a"}


IGNORED = {
    ".gitignore": "*.log\n!keep.log\n/top\nbuild/\n**/deep/*.tmp\n# comment\n\\#hash\n",
    "a.log": "",
    "keep.log": "",
    "top": "",
    "sub/top": "",
    "sub/build/x": "",
    "build/y": "",
    "sub/deep/z.tmp": "",
    "sub/deep/z.txt": "",
    "#hash": "",
    "sub/.gitignore": "*.txt\n!a.log\n",
    "sub/a.log": "",
    "sub/b.txt": "",
    "sub/inner/c.txt": "",
    "ignored/.gitignore": "*\n",
    "ignored/d": "",
    "gone/.gitignore": "!e.log\n",
    "gone/e.log": "",
    "build/.gitignore": "!y\n",
}


def test_the_same_files_are_left_out_as_by_git(tmp_path: Path) -> None:
    write(tmp_path, **IGNORED)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    write(tmp_path, **{".git/info/exclude": "sub/inner\n"})
    listed = subprocess.run(
        [*git, "-c", "core.excludesFile=", "ls-files", "-z", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    taken = {name for name, member in members(tmp_path).items() if member.isreg()}
    assert taken == set(listed.split("\0")) - {""}
    assert "sub/top" in taken


def test_a_folder_within_a_repository_obeys_what_lies_above(tmp_path: Path) -> None:
    write(tmp_path, **{".gitignore": "*.log\n/sub/x\n", "sub/a.log": "", "sub/x": "", "sub/b": ""})
    (tmp_path / ".git").mkdir()
    assert set(members(tmp_path / "sub")) == {"b"}


def test_outside_a_repository_nothing_above_counts(tmp_path: Path) -> None:
    write(tmp_path, **{".gitignore": "*.log\n", "sub/a.log": ""})
    assert set(members(tmp_path / "sub")) == {"a.log"}


def test_whole_means_all_of_it(tmp_path: Path) -> None:
    write(tmp_path, **{".gitignore": "*.log\n", "a.log": "", ".git/config": ""})
    assert set(members(tmp_path)) == {".gitignore"}
    assert set(members(tmp_path, whole=True)) == {".gitignore", "a.log", ".git", ".git/config"}


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("a", True),
        ("../a", True),
        ("not-there", True),
        ("inner/../a", False),
        ("../../a", False),
        ("/etc/passwd", False),
    ],
)
def test_a_link_is_kept_if_it_stays_inside(tmp_path: Path, target: str, kept: bool) -> None:
    write(tmp_path, a="secret")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link").symlink_to(target)
    found = members(tmp_path).get("sub/link")
    assert (found is not None) == kept
    assert found is None or (found.issym() and found.linkname == target)


def test_a_linked_folder_is_not_walked_into(tmp_path: Path) -> None:
    write(tmp_path, **{"src/a": "x"})
    (tmp_path / "src" / "round").symlink_to(".")
    assert set(members(tmp_path / "src")) == {"a", "round"}


def test_special_files_are_left_out_and_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    tarball = Tarball(tmp_path, whole=False)
    assert len(b"".join(tarball)) == 1024
    tarball.tell()
    assert "pipe" in capfd.readouterr().err
