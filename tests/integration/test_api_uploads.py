"""POST /v1/uploads, and what is told of them."""

import asyncio
import socket
import tarfile
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaser.api.context import Rules
from chaser.api.uploads import upload_faults
from chaser.errors import Unavailable
from chaser.ids import UploadId
from chaser.jobs.reason import Reason
from chaser.keys import Scope, parse
from tests.api_service import Service, bearer, service
from tests.tars import files, info, tarred

TAR = {"Content-Type": "application/x-tar"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as running:
        yield running


def left(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "uploads").iterdir())


async def uploaded(api: Service, content: bytes, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # httpx's own
    answer = await api.http.post("/v1/uploads", content=content, **options)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def refused(api: Service, content: bytes, **options: Any) -> tuple[int, str, str]:  # noqa: ANN401  # httpx's own
    answer = await api.http.post("/v1/uploads", content=content, **options)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


async def test_an_upload_is_kept_byte_for_byte_and_told_of(api: Service, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000

    made = await uploaded(api, content)

    assert set(made) == {"id", "size_bytes", "type", "created_at", "expires_at"}
    assert (made["size_bytes"], made["type"]) == (len(content), "file")
    span = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert span == timedelta(days=1)
    assert (tmp_path / "uploads" / made["id"]).read_bytes() == content
    assert (await api.http.get(f"/v1/uploads/{made['id']}")).json() == made


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "file"),
        ({"headers": {"Content-Type": "application/x-www-form-urlencoded"}}, "file"),
        ({"headers": TAR}, "tar"),
        ({"params": {"type": "tar"}}, "tar"),
        ({"headers": {"Content-Type": "Application/X-Tar; charset=binary"}}, "tar"),
        ({"headers": TAR, "params": {"type": "file"}}, "file"),
    ],
)
async def test_what_it_is_is_said_by_the_query_or_else_by_the_content_type(
    api: Service, options: dict[str, Any], kind: str
) -> None:
    assert (await uploaded(api, files(a=b"x"), **options))["type"] == kind


async def test_a_body_of_unknown_length_is_taken_in_pieces(api: Service) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    answer = await api.http.post("/v1/uploads", content=pieces())

    assert answer.json()["size_bytes"] == 100_000


@pytest.mark.parametrize(
    ("tar", "words"),
    [
        (tarred((info("../../etc/cron.d/x"), b"x")), "../../etc/cron.d/x"),
        (tarred((info("out", tarfile.SYMTYPE, link="../.."), b"")), "'out'"),
        (tarred((info("null", tarfile.CHRTYPE), b"")), "'null'"),
        (files(a=b"x" * 5000)[:3000], "cut off"),
        (b"\x1f\x8b" + bytes(1000), "gzip"),
        (b"garbage", "too short"),
    ],
)
async def test_a_tar_that_may_not_be_unpacked_is_refused_with_the_members_name(
    api: Service, tmp_path: Path, tar: bytes, words: str
) -> None:
    status, code, message = await refused(api, tar, headers=TAR)

    assert (status, code) == (422, "invalid_upload")
    assert words in message
    assert left(tmp_path) == []


async def test_a_form_is_refused_before_it_is_taken_for_a_file(api: Service) -> None:
    answer = await api.http.post("/v1/uploads", files={"file": b"x"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


async def test_what_is_announced_as_too_large_is_refused_unread(api: Service, tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(api.url).port or 0)) as raw:
        raw.settimeout(10)
        head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\n"
        raw.sendall(f"{head}Content-Length: {(1 << 30) + 1}\r\n\r\n".encode())
        answer = await asyncio.to_thread(raw.recv, 65536)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert left(tmp_path) == []


async def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    async with service(tmp_path) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(api.url).port)
        head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\n"
        writer.write(f"{head}Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n".encode())
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert [path.suffix for path in left(tmp_path)] == [".part"]
        writer.write(b"x" * 3_000_000)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    # its end waits for the answers that are under way
    assert left(tmp_path) == []


async def test_a_client_that_stands_still_is_cut_off(tmp_path: Path) -> None:
    async with service(tmp_path, rules=Rules(stall=timedelta(milliseconds=50))) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(api.url).port)
        head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\nContent-Length: 9\r\n\r\nx"
        writer.write(head.encode())
        answer = await reader.read(65536)
        writer.close()
        await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert left(tmp_path) == []


async def test_nothing_is_taken_in_while_no_work_is(tmp_path: Path) -> None:
    def low() -> None:
        raise Unavailable(Reason.DISK_LOW, "The disk is low, as the test wants it.")

    async with service(tmp_path, admission=low) as api:
        assert (await refused(api, b"x"))[:2] == (503, "disk_low")


async def test_a_removed_upload_is_gone(api: Service, tmp_path: Path) -> None:
    made = await uploaded(api, b"x")

    assert (await api.http.delete(f"/v1/uploads/{made['id']}")).status_code == 204

    assert left(tmp_path) == []
    for answer in (
        await api.http.get(f"/v1/uploads/{made['id']}"),
        await api.http.delete(f"/v1/uploads/{made['id']}"),
        await api.http.get("/v1/uploads/..%2Fchaser.db"),
    ):
        assert answer.status_code == 404
    assert (await api.http.get(f"/v1/uploads/{made['id']}")).json()["error"]["code"] == "upload_not_found"


async def test_a_key_that_sees_its_own_sees_no_others_upload(api: Service) -> None:
    own = bearer(await api.key_with(own_jobs=True))
    mine, other = await uploaded(api, b"x", headers=own), await uploaded(api, b"x")
    path = f"/v1/uploads/{other['id']}"

    assert (await api.http.get(f"/v1/uploads/{mine['id']}", headers=own)).status_code == 200
    assert (await api.http.get(path, headers=own)).status_code == 404
    assert (await api.http.delete(path, headers=own)).status_code == 404
    assert (await api.http.get(path)).status_code == 200


async def test_only_what_a_key_sees_may_be_named_by_its_jobs(api: Service) -> None:
    secret = parse(await api.key_with(own_jobs=True))
    assert secret is not None
    key = await api.store.keys.by_public(secret.public)
    assert key is not None
    mine = await uploaded(api, b"x", headers=bearer(secret.text))
    other = await uploaded(api, b"x")
    named = {
        "/inputs/0/upload": UploadId(mine["id"]),
        "/inputs/1/upload": UploadId(other["id"]),
        "/inputs/2/upload": UploadId("upl_never"),
    }

    faults = await upload_faults(api.api, key, named)

    assert [fault.pointer for fault in faults] == ["/inputs/1/upload", "/inputs/2/upload"]
    assert await upload_faults(api.api, key, {}) == []


@pytest.mark.parametrize(
    ("scope", "method", "status"),
    [
        (Scope.FILES_READ, "POST", 403),
        (Scope.FILES_WRITE, "POST", 201),
        (Scope.FILES_WRITE, "GET", 403),
        (Scope.FILES_READ, "GET", 404),
        (Scope.FILES_READ, "DELETE", 403),
    ],
)
async def test_each_needs_its_scope(api: Service, scope: Scope, method: str, status: int) -> None:
    path = "/v1/uploads" if method == "POST" else "/v1/uploads/upl_x"
    key = await api.key_with(scopes=frozenset({scope}))

    assert (await api.http.request(method, path, headers=bearer(key))).status_code == status


async def test_the_document_says_that_the_body_is_bytes(api: Service) -> None:
    document = (await api.http.get("/openapi.json")).json()

    body = document["paths"]["/v1/uploads"]["post"]["requestBody"]
    assert set(body["content"]) == {"application/octet-stream", "application/x-tar"}
    parameters = document["paths"]["/v1/jobs/{id}/artifacts/{path}"]["get"]["parameters"]
    assert [each["name"] for each in parameters] == ["id", "path"]
