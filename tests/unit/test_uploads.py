"""Uploads: taken in whole, or not at all."""

import asyncio
import tarfile
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.errors import Rejected, Unavailable
from chaser.ids import KeyId, UploadId
from chaser.jobs.reason import Reason
from chaser.sandboxes.files import Upload
from chaser.sandboxes.uploads import UploadLimits, Uploads
from tests.cabinet import Rows, UploadsInMemory
from tests.tars import files, info, tarred

KEY = KeyId("key_1")


class Desk:
    """Uploads on a folder and rows in memory."""

    def __init__(self, folder: Path) -> None:
        self.rows, self.clock, self.folder = Rows(), ManualClock(), folder
        self.full = False

    def room(self) -> None:
        if self.full:
            raise Unavailable(Reason.DISK_LOW, "The disk is low, as the test wants it.")

    def uploads(self, most: int = 1 << 20) -> Uploads:
        limits = UploadLimits(most, timedelta(days=1))
        return Uploads(UploadsInMemory(self.rows), self.folder, self.clock, limits, self.room)

    async def receive(self, *pieces: bytes, is_tar: bool = False, most: int = 1 << 20) -> Upload:
        return await self.uploads(most).receive(sent(*pieces), is_tar=is_tar, key_id=KEY)

    @property
    def left(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()] if self.folder.exists() else []


async def sent(*pieces: bytes) -> AsyncGenerator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "uploads")


async def test_what_was_sent_is_kept_as_it_is(desk: Desk) -> None:
    upload = await desk.receive(b"one", b"", b"two" * 1_000_000, most=1 << 22)

    assert upload == desk.rows.uploads[upload.id]
    assert desk.left == [upload.id]
    assert (desk.folder / upload.id).read_bytes() == b"one" + b"two" * 1_000_000
    assert (desk.folder / upload.id).stat().st_mode & 0o777 == 0o600
    assert (upload.key_id, upload.size_bytes, upload.is_tar) == (KEY, 3_000_003, False)
    assert upload.expires_at - upload.created_at == timedelta(days=1)


async def test_a_tar_is_kept_if_it_may_be_unpacked(desk: Desk) -> None:
    tar = files(a=b"x" * 5000)

    upload = await desk.receive(tar[:700], tar[700:], is_tar=True)

    assert upload.is_tar
    assert (desk.folder / upload.id).read_bytes() == tar


@pytest.mark.parametrize(
    ("tar", "why"),
    [
        (tarred((info("../x"), b"x")), r"'\.\./x'"),
        (tarred((info("l", tarfile.SYMTYPE, link="/etc"), b"")), "'l'"),
        (tarred((info("dev", tarfile.CHRTYPE), b"")), "'dev'"),
        (files(a=b"x" * 5000)[:2000], "cut off"),
        (b"garbage" * 1000, "no tar"),
        (b"", "empty"),
    ],
)
async def test_of_a_tar_that_may_not_nothing_is_left(desk: Desk, tar: bytes, why: str) -> None:
    with pytest.raises(Rejected, match=why) as refused:
        await desk.receive(tar, is_tar=True)

    assert (refused.value.status, refused.value.code) == (422, "invalid_upload")
    assert (desk.left, desk.rows.uploads) == ([], {})


async def test_one_byte_too_many_is_refused_and_leaves_nothing(desk: Desk) -> None:
    await desk.receive(b"x" * 100, most=100)

    with pytest.raises(Rejected) as refused:
        await desk.receive(b"x" * 100, b"x", most=100)

    assert (refused.value.status, refused.value.code, len(desk.left)) == (413, "upload_too_large", 1)


async def test_what_is_announced_as_too_large_is_not_even_read(desk: Desk) -> None:
    read: list[bytes] = []

    async def pieces() -> AsyncGenerator[bytes]:
        read.append(b"x")
        yield b"x"

    with pytest.raises(Rejected):
        await desk.uploads(100).receive(pieces(), is_tar=False, key_id=None, announced=101)
    assert read == []


async def test_a_disk_that_becomes_low_ends_it(desk: Desk) -> None:
    async def large() -> AsyncGenerator[bytes]:
        yield b"x"
        desk.full = True
        yield bytes(64 << 20)

    with pytest.raises(Unavailable):
        await desk.uploads(1 << 30).receive(large(), is_tar=False, key_id=None)

    assert desk.left == []


async def test_a_client_that_leaves_leaves_nothing(desk: Desk) -> None:
    begun = asyncio.Event()

    async def halting() -> AsyncGenerator[bytes]:
        yield b"x" * (2 << 20)
        begun.set()
        await asyncio.Event().wait()

    receiving = asyncio.create_task(desk.uploads(1 << 30).receive(halting(), is_tar=False, key_id=None))
    await begun.wait()
    assert [name.endswith(".part") for name in desk.left] == [True]
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)

    assert (desk.left, desk.rows.uploads) == ([], {})


async def test_what_has_expired_may_not_be_named_any_more(desk: Desk) -> None:
    upload = await desk.receive(b"x")
    assert await desk.uploads().usable([upload.id, UploadId("upl_unknown")]) == [upload]

    desk.clock.advance(timedelta(days=1))

    assert await desk.uploads().usable([upload.id]) == []


async def test_what_is_removed_is_gone_with_its_bytes(desk: Desk) -> None:
    upload = await desk.receive(b"x")

    assert await desk.uploads().remove(upload.id)
    assert not await desk.uploads().remove(upload.id)
    assert desk.left == []
