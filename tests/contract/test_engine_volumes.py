"""What every engine promises of volumes, and of copying in and out of containers."""

import asyncio
import io
import random
import tarfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from chaser.clock import SystemClock
from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, new_id
from chaser.sandboxes.engine import STDOUT, ContainerId, OverlayOptions, VolumeOptions
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.labels import INSTANCE
from tests.engines import Ear, Site

WAITS = ("/bin/sh", "-c", "read -r _")
MIXED = random.Random(3).randbytes(3 << 20)


async def new_volume(site: Site, overlay: OverlayOptions | None = None) -> str:
    name = new_id("chaser-test", SystemClock().now())
    await site.engine.create_volume(VolumeOptions(name, {INSTANCE: site.instance}, overlay))
    return name


async def container_with(
    site: Site, volumes: dict[str, str], *command: str, read_only: frozenset[str] = frozenset()
) -> ContainerId:
    options = await site.options(*(command or WAITS))
    return await site.engine.create(replace(options, volumes=volumes, read_only_volumes=read_only))


async def said(site: Site, volumes: dict[str, str], command: str, **changes: frozenset[str]) -> str:
    """What a command says that has these volumes."""
    container = await container_with(site, volumes, "/bin/sh", "-c", command, **changes)
    ear = Ear()
    await site.engine.attach(container, ear)
    await site.engine.start_container(container)
    await ear.end()
    await site.engine.exited(container)
    await site.engine.remove(container)
    return ear.heard[STDOUT].decode().strip()


def packed(*members: tuple[str, bytes | None]) -> bytes:
    """A tar of directories (none) and files."""
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o777 if content is None else 0o640
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    return spool.getvalue()


async def pieces(data: bytes, length: int = 10_000) -> AsyncGenerator[bytes]:
    for at in range(0, len(data), length):
        yield data[at : at + length]


async def unpacked(site: Site, container: ContainerId, path: str) -> Sequence[tuple[str, bytes]]:
    spool = io.BytesIO()
    async for piece in site.engine.get_archive(container, path):
        spool.write(piece)
    spool.seek(0)
    if not spool.getvalue():
        return []
    with tarfile.open(fileobj=spool) as tar:
        return [
            (member.name, opened.read() if (opened := tar.extractfile(member)) else b"") for member in tar
        ]


async def test_a_volume_is_made_once_found_and_removed(site: Site) -> None:
    name = await new_volume(site)
    await site.engine.create_volume(VolumeOptions(name, {INSTANCE: site.instance}))

    assert await site.engine.volumes(site.instance) == [name]
    assert await site.engine.volumes(InstanceId("another")) == []
    assert await site.engine.volume_path(name) is not None

    await site.engine.remove_volume(name)
    await site.engine.remove_volume(name)
    assert await site.engine.volumes(site.instance) == []
    assert await site.engine.volume_path(name) is None


async def test_what_one_container_leaves_in_a_volume_the_next_finds(site: Site) -> None:
    name = await new_volume(site)

    await said(site, {"/workspace": name}, "echo kept >/workspace/file")

    assert await said(site, {"/workspace": name}, "cat /workspace/file") == "kept"


async def test_a_new_volume_is_empty_whatever_the_image_has_there(site: Site) -> None:
    name = await new_volume(site)

    assert await said(site, {"/bin/applets": name}, "ls -A /bin/applets") == ""


async def test_a_volume_in_use_is_not_removed(site: Site) -> None:
    name = await new_volume(site)
    container = await container_with(site, {"/workspace": name})

    with pytest.raises(Unavailable):
        await site.engine.remove_volume(name)

    await site.engine.remove(container)
    assert await site.engine.volume_path(name) is not None, "a container's end takes no named volume along"
    await site.engine.remove_volume(name)


@pytest.mark.docker
async def test_a_read_only_volume_cannot_be_written_to(real: Site) -> None:
    volumes = {"/workspace": await new_volume(real)}
    command = "echo x 2>/dev/null >/workspace/file || echo refused"

    assert await said(real, volumes, command, read_only=frozenset({"/workspace"})) == "refused"


async def test_files_go_into_a_container_that_never_ran_and_come_out_again(site: Site) -> None:
    container = await container_with(site, {"/workspace": await new_volume(site)})
    tar = packed(("sub", None), ("sub/mixed", MIXED), ("empty", b""))

    assert await site.engine.put_archive(container, "/workspace", pieces(tar))

    assert await unpacked(site, container, "/workspace/sub/mixed") == [("mixed", MIXED)]
    assert sorted(await unpacked(site, container, "/workspace/sub")) == [("sub", b""), ("sub/mixed", MIXED)]


async def test_a_tar_may_say_what_a_volumes_own_directory_is_like(site: Site) -> None:
    volumes = {"/workspace": await new_volume(site)}
    container = await container_with(site, volumes)

    assert await site.engine.put_archive(container, "/", pieces(packed(("workspace", None))))

    await site.engine.remove(container)
    assert await said(site, volumes, "stat -c %a /workspace") == "777"


async def test_there_is_nothing_at_a_path_that_is_none(site: Site) -> None:
    container = await container_with(site, {"/workspace": await new_volume(site)})

    assert await unpacked(site, container, "/workspace/none") == []
    assert await unpacked(site, ContainerId("chaser-never-made"), "/workspace") == []
    assert not await site.engine.put_archive(container, "/workspace/none", pieces(packed(("a", b"a"))))
    assert not await site.engine.put_archive(
        ContainerId("chaser-never-made"), "/", pieces(packed(("a", b"a")))
    )


async def test_what_is_in_the_way_is_not_overwritten_by_something_else(site: Site) -> None:
    container = await container_with(site, {"/workspace": await new_volume(site)})
    assert await site.engine.put_archive(container, "/workspace", pieces(packed(("a", None))))

    with pytest.raises(Refused):
        await site.engine.put_archive(container, "/workspace", pieces(packed(("a", b"file"))))


async def test_what_is_no_tar_is_refused(site: Site) -> None:
    container = await container_with(site, {"/workspace": await new_volume(site)})

    with pytest.raises(Refused):
        await site.engine.put_archive(container, "/workspace", pieces(b"no tar at all" * 1000))


async def test_a_source_that_fails_is_told_of_and_the_engine_still_answers(site: Site) -> None:
    container = await container_with(site, {"/workspace": await new_volume(site)})

    async def failing() -> AsyncGenerator[bytes]:
        yield packed(("a", MIXED))[:100_000]
        raise ValueError("the client has left")

    with pytest.raises(ValueError, match="the client has left"):
        await site.engine.put_archive(container, "/workspace", failing())

    assert await site.engine.put_archive(container, "/workspace", pieces(packed(("b", b"b"))))


async def test_reading_may_end_early(site: Site) -> None:
    container = await container_with(site, {"/workspace": await new_volume(site)})
    assert await site.engine.put_archive(container, "/workspace", pieces(packed(("mixed", MIXED))))

    async with aclosing(site.engine.get_archive(container, "/workspace")) as tar:
        assert await anext(tar)

    await site.engine.remove(container)


async def test_readers_who_pause_hold_up_nobody_else(site: Site) -> None:
    """More of them than there are threads for other calls. Each has a container: an engine locks one while it is read."""
    volumes = {"/workspace": await new_volume(site)}
    readers: list[AsyncGenerator[bytes]] = []
    for _ in range(40):
        container = await container_with(site, volumes)
        if not readers:
            assert await site.engine.put_archive(container, "/workspace", pieces(packed(("mixed", MIXED))))
        readers.append(site.engine.get_archive(container, "/workspace"))
        await anext(readers[-1])

    async with asyncio.timeout(30):
        assert await said(site, volumes, "ls /workspace") == "mixed"

    for reader in readers:
        await reader.aclose()


async def test_an_overlay_shows_what_is_below_and_leaves_it_alone(site: Site) -> None:
    below, changes = await new_volume(site), await new_volume(site)
    await said(site, {"/workspace": below}, "echo kept >/workspace/file")
    container = await container_with(site, {"/changes": changes})
    layers = packed(("changes", None), ("changes/upper", None), ("changes/work", None))
    assert await site.engine.put_archive(container, "/", pieces(layers))
    await site.engine.remove(container)
    lower, place = await site.engine.volume_path(below), await site.engine.volume_path(changes)
    assert lower is not None
    over = await new_volume(site, OverlayOptions(lower, f"{place}/upper", f"{place}/work"))

    assert (
        await said(site, {"/workspace": over}, "cat /workspace/file; echo changed >/workspace/file") == "kept"
    )

    assert await said(site, {"/workspace": over}, "cat /workspace/file") == "changed"
    assert await said(site, {"/workspace": below}, "cat /workspace/file") == "kept"
    await site.engine.remove_volume(over)
    await site.engine.remove_volume(changes)


async def test_an_engine_that_is_away_is_not_one_without_volumes(faulty: Site) -> None:
    name = await new_volume(faulty)
    assert isinstance(faulty.engine, FakeEngine)
    faulty.engine.away = True

    for call in (
        faulty.engine.volume_path(name),
        faulty.engine.volumes(faulty.instance),
        faulty.engine.remove_volume(name),
        faulty.engine.create_volume(VolumeOptions(name, {})),
    ):
        with pytest.raises(Unavailable):
            await call
