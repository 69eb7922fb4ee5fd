"""The courier, on a folder in a container's place."""

import os
import socket
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.ids import JobId, UploadId
from chaser.jobs.reason import Reason
from chaser.sandboxes.artifacts import Artifacts
from chaser.sandboxes.courier import Collected, Courier
from chaser.sandboxes.engine import Image
from chaser.sandboxes.harvest import HarvestLimits
from chaser.sandboxes.spec import Files, InputFile, Isolation, SandboxSpec
from chaser.sandboxes.uploads import UploadLimits, Uploads
from tests.cabinet import CONTAINER, ArtifactsInMemory, Cabinet, Rows, UploadsInMemory
from tests.engines import IMAGE, SPEC
from tests.tars import info, tarred
from tests.unit.test_uploads import sent

JOB = JobId("job_1")


class Post:
    def __init__(self, tmp_path: Path) -> None:
        self.cabinet = Cabinet(tmp_path / "container")
        self.cabinet.path("/workspace").mkdir(parents=True)
        self.rows = Rows()
        self.folder = tmp_path / "artifacts"
        limits = UploadLimits(1 << 30, timedelta(days=1))
        uploads_folder = tmp_path / "uploads"
        self.uploads = Uploads(
            UploadsInMemory(self.rows), uploads_folder, ManualClock(), limits, lambda: None
        )
        self.artifacts = Artifacts(ArtifactsInMemory(self.rows), self.folder)

    def courier(self, limits: HarvestLimits | None = None) -> Courier:
        return Courier(
            self.cabinet, self.uploads, self.artifacts, limits or HarvestLimits(), patience=timedelta()
        )

    async def send(self, content: bytes, *, is_tar: bool = False) -> UploadId:
        return (await self.uploads.receive(sent(content), is_tar=is_tar, key_id=None)).id

    async def deliver(
        self, *inputs: tuple[UploadId, str], spec: SandboxSpec = SPEC, image: Image = IMAGE
    ) -> None:
        files = Files("/workspace", tuple(InputFile(upload, path) for upload, path in inputs))
        await self.courier().deliver(CONTAINER, files, spec, image)

    async def collect(self, *patterns: str, limits: HarvestLimits | None = None) -> Collected:
        files = Files("/workspace", artifacts=patterns)
        return await self.courier(limits).collect(CONTAINER, JOB, files, IMAGE)

    async def kept(self) -> dict[str, bytes]:
        """All that is kept, as rows and on disk alike."""
        found = await self.artifacts.list(JOB)
        contents = {each.path: self.artifacts.content(JOB, each) for each in found}
        on_disk = {path.name for path in (self.folder / JOB).iterdir()} if found else set[str]()
        assert on_disk == {each.file for each in found}
        assert all(contents[each.path].stat().st_size == each.size_bytes for each in found)
        return {path: content.read_bytes() for path, content in contents.items()}


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


async def test_a_file_comes_to_its_path_and_its_directories_are_made(post: Post) -> None:
    upload = await post.send(b"hello")

    await post.deliver((upload, "a/b/c.txt"), (upload, "/etc/d.txt"), (upload, "plain"))

    for path in ("/workspace/a/b/c.txt", "/etc/d.txt", "/workspace/plain"):
        assert post.cabinet.path(path).read_bytes() == b"hello"
    assert [(where, member.name, oct(member.mode)) for where, member in post.cabinet.put] == [
        ("/workspace", "a", "0o755"),
        ("/workspace", "a/b", "0o755"),
        ("/workspace", "a/b/c.txt", "0o644"),
        ("/", "etc", "0o755"),
        ("/", "etc/d.txt", "0o644"),
        ("/workspace", "plain", "0o644"),
    ]


async def test_a_tar_is_unpacked_into_its_directory_with_modes_and_owners_of_ours(post: Post) -> None:
    tar = tarred(
        (info("./", tarfile.DIRTYPE, mode=0o700), b""),
        (info("bin/run", mode=0o4711), b"#!"),
        (info("data", mode=0o600), b"x" * 700_000),
        (info("again", tarfile.LNKTYPE, link="./data"), b""),
        (info("deep/link", tarfile.SYMTYPE, link="../data"), b""),
        (info("late"), b"end"),
    )
    upload = await post.send(tar, is_tar=True)

    await post.deliver((upload, "new/place"), spec=spec_of(user="1000:1001"))

    root = post.cabinet.path("/workspace/new/place")
    assert (root / "data").read_bytes() == b"x" * 700_000
    assert (root / "again").stat().st_ino == (root / "data").stat().st_ino
    assert (root / "deep/link").readlink() == Path("../data")
    assert (root / "late").read_bytes() == b"end"
    modes = {member.name: oct(member.mode) for _, member in post.cabinet.put if member.isfile()}
    assert modes == {
        "new/place/bin/run": "0o755",
        "new/place/data": "0o644",
        "new/place/late": "0o644",
    }
    assert {(member.uid, member.gid) for _, member in post.cabinet.put} == {(1000, 1001)}


def spec_of(*, user: str | None = None, isolation: Isolation = Isolation.STANDARD) -> SandboxSpec:
    return SandboxSpec(SPEC.image, SPEC.profile, isolation, SPEC.network, SPEC.limits, user=user)


async def test_a_name_is_looked_up_in_the_sandbox(post: Post) -> None:
    post.cabinet.file("/etc/passwd", b"root:x:0:0::/:\nnode:x:1000:1002::/:\n")
    post.cabinet.file("/etc/group", b"staff:x:50:\n")
    upload = await post.send(b"x")
    image = Image("id", None, "node", frozenset(), "")

    await post.deliver((upload, "a"), image=image)
    await post.deliver((upload, "b"), spec=spec_of(user="node:staff"), image=image)
    await post.deliver((upload, "c"), spec=spec_of(isolation=Isolation.STRICT), image=image)

    owners = {member.name: (member.uid, member.gid) for _, member in post.cabinet.put}
    assert owners == {"a": (1000, 1002), "b": (1000, 50), "c": (65534, 65534)}


@pytest.mark.parametrize(
    ("path", "isolation"),
    [
        ("/proc/x", Isolation.STANDARD),
        ("/dev/shm/x", Isolation.STANDARD),
        ("/etc/x", Isolation.STRICT),
        ("/tmp/x", Isolation.STRICT),
        ("/workspaces/x", Isolation.STRICT),
        ("/", Isolation.STANDARD),
    ],
)
async def test_what_cannot_be_put_there_is_said(post: Post, path: str, isolation: Isolation) -> None:
    upload = await post.send(b"x")

    with pytest.raises(Refused, match=path) as refused:
        await post.deliver((upload, path), spec=spec_of(isolation=isolation))

    assert refused.value.reason is Reason.INPUT_UNUSABLE


async def test_an_upload_that_is_gone_is_said(post: Post) -> None:
    upload = await post.send(b"x")
    post.uploads.content(upload).unlink()

    for gone in (upload, UploadId("upl_never")):
        with pytest.raises(Refused, match=gone) as refused:
            await post.deliver((gone, "x"))
        assert refused.value.reason is Reason.INPUT_UNUSABLE


async def test_what_matches_is_kept_with_its_mode_and_nothing_else(post: Post) -> None:
    post.cabinet.file("/workspace/out/a.xml", b"A", 0o4755)
    post.cabinet.file("/workspace/out/deep/b.xml", b"B" * 300_000)
    post.cabinet.file("/workspace/out/c.txt", b"C")
    post.cabinet.file("/var/log/x.log", b"L")

    collected = await post.collect("out/**/*.xml", "/var/log/*", "out/a.xml", "nothing/*", "no.txt")

    assert collected == Collected(["out/a.xml", "out/deep/b.xml", "var/log/x.log"])
    assert await post.kept() == {"out/a.xml": b"A", "out/deep/b.xml": b"B" * 300_000, "var/log/x.log": b"L"}
    assert [each.mode for each in await post.artifacts.list(JOB)] == [0o755, 0o644, 0o644]
    assert post.cabinet.looked_at == [
        "/workspace/no.txt",
        "/workspace/out/a.xml",
        "/var/log",
        "/workspace/nothing",
        "/workspace/out",
    ]


async def test_links_and_special_files_are_not_followed(post: Post, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"of the host")
    out = post.cabinet.path("/workspace/out")
    out.mkdir()
    (out / "link").symlink_to(secret / "key")
    (out / "directory").symlink_to(secret)
    os.mkfifo(out / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(out / "socket"))
    post.cabinet.file("/workspace/out/real", b"mine")
    post.cabinet.path("/workspace/elsewhere").symlink_to(secret)

    collected = await post.collect("out/**", "elsewhere/*")

    assert await post.kept() == {"out/real": b"mine"}
    assert collected.left_out == "Left out: what is no regular file (3)."


async def test_a_hard_link_is_kept_as_the_file_that_it_is(post: Post) -> None:
    post.cabinet.file("/workspace/a/first", b"data")
    post.cabinet.path("/workspace/b").mkdir()
    post.cabinet.path("/workspace/b/second").hardlink_to(post.cabinet.path("/workspace/a/first"))

    collected = await post.collect("**/second")

    assert collected == Collected(["b/second"])
    assert await post.kept() == {"b/second": b"data"}


NASTY = [b"new\nline", b"\xff\xfe", b"..hidden", b"-rf", b"a\\b", b'q"uote', b"\x1b[31m", b"x" * 255]


async def test_hostile_names_are_text_and_nothing_more(post: Post) -> None:
    for name in NASTY:
        post.cabinet.file(f"/workspace/out/{os.fsdecode(name)}", name)

    await post.collect("out/*")

    assert sorted((await post.kept()).values()) == sorted(NASTY)
    assert {"out/\\xff\\xfe", "out/new\nline"} < (await post.kept()).keys()
    assert all(path.name.replace("-", "").isalnum() for path in (post.folder / JOB).iterdir())


async def test_a_path_too_long_for_a_row_is_left_out(post: Post) -> None:
    deep = "/workspace" + ("/" + "d" * 200) * 6
    post.cabinet.file(deep + "/file", b"x")

    assert (await post.collect("**")).left_out == "Left out: a file whose path is longer than 1024 bytes (1)."


async def test_what_is_beyond_the_bounds_is_left_out_and_said(post: Post) -> None:
    for name in ("a", "b", "c", "d"):
        post.cabinet.file(f"/workspace/{name}", name.encode() * 100)
    post.cabinet.file("/workspace/b", b"large" * 100)

    by_size = await post.collect("*", limits=HarvestLimits(size_bytes=250))
    assert by_size.paths == ["a", "c"]
    assert by_size.left_out == "Left out: a file beyond the 250 bytes that a job may leave (2)."

    by_count = await post.collect("*", limits=HarvestLimits(files=2))
    assert by_count.paths == ["a", "b"]
    assert by_count.left_out == "Left out: what lies beyond the 2 files that a job may leave (1)."

    # the first archive has 10,240 bytes, as its writer fills it up
    by_scan = await post.collect("d", "*", limits=HarvestLimits(scanned_bytes=2000))
    assert by_scan.left_out == "Left out: what lies beyond the first 2000 bytes of all that is there (1)."
    assert await post.kept() == {"d": b"d" * 100}

    by_time = await post.collect("*", limits=HarvestLimits(time=timedelta()))
    assert by_time == Collected([], "Left out: what was not found within 0 s (1).")


async def test_a_second_time_counts_instead_of_the_first(post: Post) -> None:
    post.cabinet.file("/workspace/a", b"old")
    await post.collect("*")
    post.cabinet.path("/workspace/a").unlink()
    post.cabinet.file("/workspace/b", b"new")

    await post.collect("*")
    assert await post.kept() == {"b": b"new"}

    post.cabinet.path("/workspace/b").unlink()
    await post.collect("*")
    assert await post.kept() == {}
    assert not (post.folder / JOB).exists()


async def test_a_store_that_is_away_keeps_what_the_first_time_has_kept(post: Post) -> None:
    post.cabinet.file("/workspace/a", b"old")
    await post.collect("*")
    post.rows.away = 1

    with pytest.raises(Unavailable):
        await post.collect("*")

    assert await post.kept() == {"a": b"old"}


async def test_an_engine_that_is_away_for_a_while_is_asked_again(post: Post) -> None:
    post.cabinet.file("/workspace/a", b"x" * 100_000)
    post.cabinet.away = 1
    courier = Courier(post.cabinet, post.uploads, post.artifacts, HarvestLimits())

    collected = await courier.collect(CONTAINER, JOB, Files("/workspace", artifacts=("*",)), None)

    assert collected == Collected(["a"])
    assert await post.kept() == {"a": b"x" * 100_000}


async def test_an_engine_that_is_away_costs_the_files_and_not_the_end(post: Post) -> None:
    post.cabinet.file("/workspace/a", b"x" * 100_000)
    post.cabinet.away = 1

    collected = await post.collect("*")

    assert collected.paths == []
    assert "engine" in (collected.left_out or "")
    assert await post.kept() == {}
