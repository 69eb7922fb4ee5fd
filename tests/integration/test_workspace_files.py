"""The files of workspaces from outside, on real Docker: what is refused, and that nothing gets out."""

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from chaser.errors import Rejected
from chaser.ids import new_snapshot_id, new_workspace_id
from chaser.sandboxes.inside import inside
from chaser.sandboxes.spec import Isolation
from chaser.sandboxes.workspace_files import EntryType, FileLimits
from chaser.sandboxes.workspaces import Snapshot, Workspace
from tests.engines import docker_site
from tests.images import docker
from tests.tars import files, info, tarred
from tests.workshop import CLOCK, Workshop, workshop

pytestmark = pytest.mark.docker

COREUTILS = "chaser-default:latest"


@pytest.fixture(params=["busybox", "coreutils"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Workshop]:
    """Tools of both sorts. The other image is there wherever `make demo` or `make setup` has run."""
    image = COREUTILS if request.param == "coreutils" else None
    if image and not docker("images", "--quiet", image):
        pytest.skip(f"{image} is not on this engine: images/default/build")
    async with docker_site(tmp_path) as site, workshop(site, tmp_path, image=image) as made:
        yield made


@pytest.fixture
async def small_limits(tmp_path: Path) -> AsyncGenerator[Workshop]:
    limits = FileLimits(file_bytes=1000, tar_bytes=20_000)
    async with docker_site(tmp_path) as site, workshop(site, tmp_path, limits=limits) as made:
        yield made


async def code_of(work: object) -> str:
    """The code with which it is refused."""
    with pytest.raises(Rejected) as rejected:
        await work  # pyright: ignore[reportGeneralTypeIssues]
    assert 400 <= rejected.value.status < 500
    return rejected.value.code


async def used(shop: Workshop, command: str = "true") -> Workspace:
    made = await shop.workspace()
    await shop.run(made.id, command)
    return await shop.again(made)


def members(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as opened:
        return {member.name.removeprefix("./"): member for member in opened}


async def test_a_file_comes_back_as_it_was_put(shop: Workshop) -> None:
    made = await shop.workspace()
    content = bytes(range(256)) * 5000

    await shop.put(made, "a/b/file", content)

    assert await shop.read(made, "a/b/file") == content
    assert await shop.names(made) == [b"a"]
    await shop.put(made, "a/b/file", b"")
    assert await shop.read(made, "a/b/file") == b""


async def test_nothing_is_in_a_workspace_that_nobody_has_used(shop: Workshop) -> None:
    made = await shop.workspace()

    assert await shop.names(made) == []
    assert list(members(await shop.read(made))) == ["."]
    assert await code_of(shop.read(made, "file")) == "file_not_found"
    assert await code_of(shop.names(made, "sub")) == "file_not_found"
    assert await code_of(shop.remove(made, "sub")) == "file_not_found"


async def test_a_directory_is_listed_with_what_its_entries_are(shop: Workshop) -> None:
    made = await used(
        shop,
        "mkdir sub; head -c 5 /dev/zero >file; chown 1:2 file; chmod 4750 file; touch -d '2020-01-02 03:04:05' file; "
        "ln -s file link; mkfifo fifo",
    )

    entries = {entry.name: entry for entry in await shop.files.list(made, inside(""))}

    assert {name: entry.type for name, entry in entries.items()} == {
        b"fifo": EntryType.OTHER,
        b"file": EntryType.FILE,
        b"link": EntryType.SYMLINK,
        b"sub": EntryType.DIRECTORY,
    }
    file = entries[b"file"]
    assert (file.size_bytes, file.mode, file.uid, file.gid) == (5, 0o4750, 1, 2)
    assert file.modified_at.isoformat() == "2020-01-02T03:04:05+00:00"


HOSTILE = [
    b"a\nb",
    b" ",
    b"-rf",
    b"'\"$(id)`id`\\",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"*",
    b"a b\t",
    b"%2e",
    b"x\n",
    b"8 1 1 1 1 .y\n",
]


async def test_names_may_hold_any_bytes(shop: Workshop) -> None:
    made = await used(shop)
    for name in HOSTILE:
        path = quote_from_bytes(b"dir " + name + b"/" + name)
        await shop.put(made, path, name)
        assert await shop.read(made, path) == name

    assert await shop.names(made) == sorted(b"dir " + name for name in HOSTILE)
    for name in HOSTILE:
        assert await shop.names(made, quote_from_bytes(b"dir " + name)) == [name]
        await shop.remove(made, quote_from_bytes(b"dir " + name))
    assert await shop.names(made) == []


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../etc/passwd",
        "a/../../etc",
        "/etc/passwd",
        "%2e%2e/etc",
        "a//b",
        "./a",
        "a%00b",
        "a/" * 3000,
        "a" * 256,
    ],
)
def test_a_path_that_is_none_or_leads_out_is_refused(path: str) -> None:
    with pytest.raises(Rejected) as rejected:
        inside(path)
    assert (rejected.value.status, rejected.value.code) == (422, "invalid_path")


LINKS = "mkdir d; echo mine >d/passwd; ln -s /etc etc; ln -s /etc/passwd passwd; ln -s d inner; ln -s .. up; ln -s / root"


@pytest.mark.parametrize(
    "path", ["etc/passwd", "passwd", "inner/passwd", "up/etc/passwd", "root/etc/passwd", "etc", "up"]
)
async def test_no_link_is_followed(shop: Workshop, path: str) -> None:
    made = await used(shop, LINKS)

    assert await code_of(shop.read(made, path)) == "path_is_link"
    assert await code_of(shop.put(made, path, b"overwritten")) == "path_is_link"
    assert await code_of(shop.put(made, path, files(x=b"overwritten"), is_tar=True)) == "path_is_link"
    assert await code_of(shop.put(made, f"{path}/new/file", b"overwritten")) == "path_is_link"
    if "/" in path:
        assert await code_of(shop.remove(made, path)) == "path_is_link"
    else:
        assert await code_of(shop.names(made, path)) == "path_is_link"
        await shop.remove(made, path)
        assert path.encode() not in await shop.names(made)
    assert await shop.run(made.id, "cat d/passwd; ls d; ls -d /etc/passwd") == "mine\npasswd\n/etc/passwd"


async def test_links_in_a_directory_are_kept_as_links(shop: Workshop) -> None:
    made = await used(shop, LINKS)

    found = members(await shop.read(made))

    assert {name: member.linkname for name, member in found.items() if member.issym()} == {
        "etc": "/etc",
        "passwd": "/etc/passwd",
        "inner": "d",
        "up": "..",
        "root": "/",
    }
    assert "etc/passwd" not in found


async def test_a_link_that_is_swapped_in_meanwhile_is_not_followed(shop: Workshop) -> None:
    """A job puts a link to /etc in a directory's place, and a link to /etc/passwd in a file's, as fast as it can."""
    made = await used(
        shop, "mkdir -p a b; echo mine >a/passwd; ln -s /etc b/link; echo mine >file; ln -s /etc/passwd l"
    )
    swap = "while :; do mv a c; mv b/link a; mv a b/link; mv c a; mv file g; cp -P l file; rm file; mv g file; done"
    swapping = asyncio.create_task(shop.run(made.id, swap))
    seen: set[str] = set()
    try:
        for _ in range(12):
            for path in ("a/passwd", "file"):
                try:
                    seen.add((await shop.read(made, path)).decode())
                except Rejected as refused:
                    seen.add(refused.code)
    finally:
        swapping.cancel()
        await asyncio.gather(swapping, return_exceptions=True)

    assert seen <= {"mine\n", "path_is_link", "file_not_found", "not_a_directory", "not_a_file"}


async def test_what_is_no_file_is_not_waited_for(shop: Workshop) -> None:
    made = await used(shop, "mkfifo fifo; mkdir sub; mkfifo sub/fifo; echo x >sub/file")

    assert await code_of(shop.read(made, "fifo")) == "not_a_file"
    assert members(await shop.read(made, "sub"))["fifo"].isfifo()
    assert await code_of(shop.names(made, "sub/file")) == "not_a_directory"
    assert await code_of(shop.read(made, "sub/file/x")) == "not_a_directory"
    await shop.put(made, "fifo", b"now a file")
    assert await shop.read(made, "fifo") == b"now a file"


async def test_writing_one_name_of_a_file_leaves_its_other_names_alone(shop: Workshop) -> None:
    made = await used(shop, "echo old >one; chmod 640 one; chown 5:6 one; ln one two")

    await shop.put(made, "one", b"new")

    assert await shop.run(made.id, "cat two one; stat -c '%a %u %g' one") == "old\nnew640 5 6"


async def test_what_is_put_is_for_every_user(shop: Workshop) -> None:
    made = await used(shop, "mkdir theirs; chown 7:8 theirs; chmod 777 theirs")
    tar = tarred((info("bin/tool", mode=0o755), b"x"), (info("bin/data", mode=0o600), b"x"))

    await shop.put(made, "new/file", b"x")
    await shop.put(made, "theirs", tar, is_tar=True)

    stat = "stat -c '%n %a %u %g' new new/file theirs theirs/bin theirs/bin/tool theirs/bin/data"
    assert (await shop.run(made.id, stat)).splitlines() == [
        "new 777 0 0",
        "new/file 666 0 0",
        "theirs 777 7 8",
        "theirs/bin 777 7 8",
        "theirs/bin/tool 777 7 8",
        "theirs/bin/data 666 7 8",
    ]
    strict = "echo more >>new/file; echo more >>theirs/bin/data; rm theirs/bin/tool; cat new/file"
    assert await shop.run(made.id, strict, isolation=Isolation.STRICT) == "xmore"


async def test_a_tar_goes_over_what_is_there(shop: Workshop) -> None:
    made = await used(
        shop, "mkdir -p d/sub; echo old >d/old; echo kept >d/sub/kept; ln -s /etc/passwd d/link"
    )
    tar = tarred(
        (info("./", tarfile.DIRTYPE), b""),
        (info("old"), b"new"),
        (info("sub/added"), b"added"),
        (info("link"), b"no link any more"),
        (info("alias", tarfile.SYMTYPE, link="sub/added"), b""),
        (info("again", tarfile.LNKTYPE, link="old"), b""),
    )

    await shop.put(made, "d", tar, is_tar=True)

    assert await shop.names(made, "d") == [b"again", b"alias", b"link", b"old", b"sub"]
    assert await shop.names(made, "d/sub") == [b"added", b"kept"]
    assert await shop.read(made, "d/link") == b"no link any more"
    assert await shop.run(made.id, "cat d/old d/again d/alias; stat -c %h d/old") == "newnewadded2"
    assert await shop.run(made.id, "grep -c root /etc/passwd") == "1"


@pytest.mark.parametrize(
    "member",
    [
        info("../out"),
        info("/etc/passwd"),
        info("a/../../out"),
        info("link", tarfile.SYMTYPE, link="/etc/passwd"),
        info("link", tarfile.SYMTYPE, link="../../etc"),
        info("hard", tarfile.LNKTYPE, link="/etc/passwd"),
        info("hard", tarfile.LNKTYPE, link="not-in-this-tar"),
        info("null", tarfile.CHRTYPE),
        info("disk", tarfile.BLKTYPE),
        info("fifo", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name}-{member.linkname or member.type.decode()}",
)
async def test_a_hostile_tar_is_refused_whole(small_limits: Workshop, member: tarfile.TarInfo) -> None:
    made = await used(small_limits)
    tar = tarred((info("before"), b"x"), (member, b""))

    assert await code_of(small_limits.put(made, "", tar, is_tar=True)) == "invalid_upload"

    assert await small_limits.names(made) == []


async def test_a_tar_does_not_lead_through_a_link_that_is_there(shop: Workshop) -> None:
    made = await used(shop, "mkdir d; ln -s /tmp d/out; mkdir d/dir")

    assert await code_of(shop.put(made, "d", tarred((info("out/x"), b"x")), is_tar=True)) == "path_is_link"
    assert await code_of(shop.put(made, "d", tarred((info("dir"), b"x")), is_tar=True)) == "is_a_directory"

    assert await shop.names(made, "d") == [b"dir", b"out"]


async def test_a_file_and_a_directory_do_not_take_each_others_place(shop: Workshop) -> None:
    made = await used(shop, "mkdir d; echo x >file")

    assert await code_of(shop.put(made, "d", b"x")) == "is_a_directory"
    assert await code_of(shop.put(made, "file/x", b"x")) == "not_a_directory"
    assert await code_of(shop.put(made, "file", files(x=b"x"), is_tar=True)) == "not_a_directory"


async def test_what_is_too_large_is_refused_before_it_is_read(small_limits: Workshop) -> None:
    made = await used(small_limits, "truncate -s 100G big; mkdir d; head -c 30000 /dev/zero >d/file")

    assert await code_of(small_limits.read(made, "big")) == "file_too_large"
    assert await code_of(small_limits.read(made, "d")) == "file_too_large"


async def test_a_directory_of_very_many_names_is_listed(shop: Workshop) -> None:
    made = await used(shop, "mkdir d; cd d; i=0; while [ $i -lt 5000 ]; do : >file$i; i=$((i+1)); done")

    assert len(await shop.names(made, "d")) == 5000


async def test_what_would_go_over_the_quota_is_not_written(shop: Workshop) -> None:
    made = await shop.workspace(quota_bytes=1000)

    assert await code_of(shop.put(made, "file", bytes(1001))) == "quota_exceeded"
    await shop.put(made, "file", bytes(1000))


TREE = """
mkdir -p d/sub; echo 1 >d/one; ln d/one d/two; ln -s /etc/passwd d/link; ln -s nowhere dangling; mkfifo pipe
echo '#!' >d/run; chmod 6755 d/run; chmod 700 d/sub; chown -R 12:34 d/sub; truncate -s 64M sparse
touch -d '2001-02-03 04:05:06' d/one; printf x >"$(printf 'a\\nb\\377')"; chmod 1750 .; chown 3:4 .; chown -h 5:6 dangling
"""
EACH = "find . | LC_ALL=C sort | while IFS= read -r f; do stat -c '%n %F %a %u %g %s %h' \"$f\"; done"
SHOWN = f"{EACH}; readlink d/link; stat -c %Y d/one"


async def test_a_snapshot_brings_all_of_it_back(shop: Workshop) -> None:
    made = await used(shop, TREE)
    before = await shop.run(made.id, SHOWN)
    assert "./d/run regular file 6755 0 0" in before
    snapshot = Snapshot(new_snapshot_id(CLOCK.now()), made.id, "before", CLOCK.now())

    taken = await shop.snapshots.take(await shop.errand(), snapshot)
    await shop.run(made.id, "rm -rf d/one d/sub sparse; echo more >more; mkdir -p .hidden/x; chmod 777 .")
    await shop.snapshots.restore(await shop.errand(), made.id, snapshot.id)

    assert taken.whole
    assert await shop.run(made.id, SHOWN) == before
    assert await shop.snapshots.delete(snapshot.id)
    assert not await shop.snapshots.delete(snapshot.id)


async def test_a_clone_is_the_same_and_apart(shop: Workshop) -> None:
    source = await used(shop, TREE)
    new = Workspace(new_workspace_id(CLOCK.now()), "clone", CLOCK.now(), CLOCK.now(), quota_bytes=1 << 30)

    clone = await shop.snapshots.clone(await shop.errand(), source.id, new)

    assert clone.name == "clone"
    assert clone.size_bytes is not None
    assert await shop.run(clone.id, SHOWN) == await shop.run(source.id, SHOWN)
    await shop.run(clone.id, "rm -rf d")
    assert b"d" in await shop.names(source)
    assert await shop.store.workspaces.snapshots(source.id) == []
    taken = Workspace(new_workspace_id(CLOCK.now()), "MAIN", CLOCK.now(), CLOCK.now())
    assert await code_of(shop.snapshots.clone(await shop.errand(), source.id, taken)) == "workspace_exists"


async def test_a_tool_is_hardened_and_sees_nothing_else(shop: Workshop) -> None:
    made = await used(shop, "echo x >file")

    async with shop.files.opened(made, inside("file")):
        running = docker("ps", "--all", "--quiet", "--filter", f"label=chaser.instance={shop.site.instance}")
        shown = docker(
            "inspect",
            "--format",
            "{{.HostConfig.NetworkMode}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} "
            "{{.HostConfig.PidsLimit}} {{.HostConfig.SecurityOpt}} {{range .Mounts}}{{.Type}}:{{.Destination}}:{{.RW}} {{end}}",
            *running.split(),
        )

    assert "none true [ALL] [CHOWN DAC_OVERRIDE FOWNER FSETID] 64 [no-new-privileges]" in shown
    assert "volume:/workspace:false" in shown
    assert "volume:/workspace:true" not in shown


async def test_nothing_is_left_of_tools(shop: Workshop) -> None:
    made = await shop.workspace()
    await shop.put(made, "file", b"x")
    await shop.read(made, "file")
    await shop.removals.drain(30)

    labelled = f"label=chaser.instance={shop.site.instance}"
    assert docker("ps", "--all", "--quiet", "--filter", labelled) == ""
    assert len(docker("volume", "ls", "--quiet", "--filter", labelled).split()) == 1


async def test_a_change_that_is_cancelled_has_ended_when_its_caller_goes_on(small_limits: Workshop) -> None:
    """Whoever is next in the workspace's line must find nobody at work in it."""
    made = await used(small_limits, "head -c 300000000 /dev/zero >big")
    snapshot = Snapshot(new_snapshot_id(CLOCK.now()), made.id, None, CLOCK.now())
    await small_limits.snapshots.take(await small_limits.errand(), snapshot)
    await small_limits.removals.drain(30)
    restoring = asyncio.create_task(
        small_limits.snapshots.restore(await small_limits.errand(), made.id, snapshot.id)
    )
    labelled = f"label=chaser.instance={small_limits.site.instance}"
    while not await asyncio.to_thread(docker, "ps", "--quiet", "--filter", labelled):
        assert not restoring.done()

    restoring.cancel()
    await asyncio.gather(restoring, return_exceptions=True)

    assert docker("ps", "--all", "--quiet", "--filter", labelled) == ""
