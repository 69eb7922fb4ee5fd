"""Images that travel in a file: out of one engine and into another, or, as here, away and back."""

import gzip
import hashlib
import os
import subprocess
import tarfile
from collections.abc import Generator, Mapping
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from tests.images import docker

ROOT = Path(__file__).parents[2]
PACKED = ("tar.zst", "tar.gz", "tar")


def make(target: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`make target NAME=VALUE…` as a person types it."""
    words = [f"{name}={value}" for name, value in variables.items()]
    clean = {name: value for name, value in os.environ.items() if name not in {"IMAGES", "FILE"}}
    command = ["make", "--no-print-directory", target, *words]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)


def there(image: str) -> bool:
    return (
        subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode
        == 0
    )


def image_id(image: str) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", image)


def new_image(name: str, *, platform: str | None = None) -> None:
    """An image of one file, like no other, so that removing it leaves no layer of it in the engine."""
    content, tree = name.encode(), BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        member = tarfile.TarInfo("name")
        member.size = len(content)
        tar.addfile(member, BytesIO(content))
    chosen = [] if platform is None else ["--platform", platform]
    docker("import", *chosen, "--change", "LABEL chaser.test=image-file", "-", name, stdin=tree.getvalue())


@pytest.fixture
def images() -> Generator[tuple[str, str]]:
    names = (f"chaser-file-test:{uuid4().hex[:8]}", f"chaser-file-test:{uuid4().hex[:8]}")
    for name in names:
        new_image(name)
    yield names
    left = [name for name in names if there(name)]
    if left:
        docker("rmi", *left)


def exported(images: tuple[str, ...], file: Path) -> subprocess.CompletedProcess[str]:
    done = make("images-export", {"FILE": str(file), "IMAGES": " ".join(images)})
    assert done.returncode == 0, done.stderr
    return done


def write_checksum(file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")


@pytest.mark.docker
@pytest.mark.parametrize("packed", PACKED)
def test_what_was_exported_comes_back_whole(images: tuple[str, str], packed: str, tmp_path: Path) -> None:
    file = tmp_path / f"images.{packed}"
    before = [docker("image", "inspect", "--format", "{{.Id}} {{.Config.Labels}}", name) for name in images]
    said = exported(images, file).stderr
    assert "2 image(s)" in said
    assert sorted(each.name for each in tmp_path.iterdir()) == [file.name, f"{file.name}.sha256"]
    docker("rmi", *images)
    done = make("images-import", {"FILE": str(file)})
    assert done.returncode == 0, done.stderr
    assert (
        f"in the engine: {' '.join(images)}" in done.stderr
        or f"in the engine: {images[1]} {images[0]}" in done.stderr
    )
    after = [docker("image", "inspect", "--format", "{{.Id}} {{.Config.Labels}}", name) for name in images]
    assert after == before


@pytest.mark.docker
def test_the_checksum_is_one_that_every_machine_can_check(images: tuple[str, str], tmp_path: Path) -> None:
    exported(images, tmp_path / "images.tar.gz")
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    checked = subprocess.run(
        ["sha256sum", "--check", "images.tar.gz.sha256"],
        cwd=moved,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout == "images.tar.gz: OK\n"


@pytest.mark.docker
def test_a_file_that_was_damaged_on_the_way_is_not_imported(images: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "images.tar"
    exported(images, file)
    docker("rmi", *images)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = make("images-import", {"FILE": str(file)})
    assert done.returncode != 0
    assert f"{file} is damaged" in done.stderr
    assert not any(there(image) for image in images)


@pytest.mark.docker
def test_a_file_without_its_checksum_is_not_imported(images: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "images.tar.gz"
    exported(images, file)
    file.with_name("images.tar.gz.sha256").unlink()
    done = make("images-import", {"FILE": str(file)})
    assert done.returncode != 0
    assert "images.tar.gz.sha256 is missing" in done.stderr


@pytest.mark.docker
@pytest.mark.parametrize("text", ["", "no checksum\n", "0" * 63 + "  images.tar.gz\n"])
def test_a_checksum_file_that_is_none_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "images.tar.gz"
    file.write_bytes(gzip.compress(b"x"))
    file.with_name("images.tar.gz.sha256").write_text(text)
    done = make("images-import", {"FILE": str(file)})
    assert done.returncode != 0
    assert "is not what images-export writes" in done.stderr


@pytest.mark.docker
def test_what_is_no_archive_of_images_is_refused_by_the_engine(tmp_path: Path) -> None:
    file = tmp_path / "images.tar.gz"
    file.write_bytes(gzip.compress(b"no archive"))
    write_checksum(file)
    done = make("images-import", {"FILE": str(file)})
    assert done.returncode != 0
    assert "the engine did not take" in done.stderr


@pytest.mark.docker
def test_images_for_another_kind_of_machine_are_named(tmp_path: Path) -> None:
    name, file = f"chaser-file-test:{uuid4().hex[:8]}", tmp_path / "images.tar"
    new_image(name, platform="linux/s390x")
    made, own = docker("image", "inspect", "--format", "{{.Id}} {{.Architecture}}", name).split()
    try:
        exported((name,), file)
        if own != "s390x":
            # Older engines do not listen to --platform, and do not mind what an image's configuration is named after.
            assert len(own) == len("s390x")
            said, wanted = (f'"architecture":"{each}"'.encode() for each in (own, "s390x"))
            file.write_bytes(file.read_bytes().replace(said, wanted))
            write_checksum(file)
        done = make("images-import", {"FILE": str(file)})
    finally:
        docker("rmi", "--force", name, *({made} - {image_id(name)}))
    assert done.returncode != 0
    assert f"{name} (s390x)" in done.stderr


@pytest.mark.docker
@pytest.mark.parametrize("target", ["images-export", "images-import"])
@pytest.mark.parametrize(
    ("file", "said"),
    [("", "FILE=chaser-images.tar.zst"), ("images.zip", "must end in .tar.zst, .tar.gz or .tar")],
)
def test_a_file_that_cannot_be_is_refused_in_a_sentence(
    target: str, file: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / file if file else None
    if path is not None:
        path.write_bytes(b"")
    done = make(target, {"FILE": "" if path is None else str(path)})
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.docker
def test_an_image_that_was_named_and_is_not_there_stops_the_export(
    images: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "images.tar"
    done = make("images-export", {"FILE": str(file), "IMAGES": f"{images[0]} chaser-file-test:none"})
    assert done.returncode != 0
    assert "the engine has no image chaser-file-test:none" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.docker
def test_an_export_that_fails_leaves_the_older_file(images: tuple[str, str], tmp_path: Path) -> None:
    """The disk is full, say: here the place of the new file is taken."""
    file = tmp_path / "images.tar"
    exported(images, file)
    before = file.read_bytes()
    (tmp_path / "images.tar.partial").mkdir()
    done = make("images-export", {"FILE": str(file), "IMAGES": images[0]})
    assert done.returncode != 0
    assert "could not be written" in done.stderr
    assert file.read_bytes() == before
