"""Image registries for tests: Debian's `docker-registry` on loopback, and one that misbehaves as it is told."""

import asyncio
import collections
import json
import re
import subprocess
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

USER, PASSWORD = "robot", "correct horse"


@contextmanager
def running_registry(directory: Path, *, with_login: bool, within: Sequence[str] = ()) -> Generator[str]:
    """A registry process with a store of its own; yields its `host:port`. `within` is put before its command."""
    config = directory / "registry.yml"
    config.write_text(_CONFIG.format(store=directory / "store") + (_login(directory) if with_login else ""))
    command = [*within, "docker-registry", "serve", config]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        listening = (re.search(r"listening on ([0-9.]+:\d+)", line) for line in process.stderr)
        host = next((found[1] for found in listening if found), None)
        assert host is not None, "docker-registry has not started"
        # Nobody reads its log from here on; it must not stand still for that.
        drain = threading.Thread(target=collections.deque, args=(process.stderr, 0))
        drain.start()
        yield host
    finally:
        process.terminate()
        process.wait()
    drain.join()
    process.stderr.close()


_CONFIG = """\
version: 0.1
log: {{level: info, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {store}}}}}
http: {{addr: "127.0.0.1:0"}}
"""


def _login(directory: Path) -> str:
    users = directory / "htpasswd"
    subprocess.run(
        ["htpasswd", "-iBc", users, USER], input=PASSWORD, text=True, capture_output=True, check=True
    )
    return f"auth: {{htpasswd: {{realm: test, path: {users}}}}}\n"


@dataclass
class Misbehaving:
    """A registry that is there. With a `status` it answers every question for a manifest so; without one it has every
    image, and stands still in the middle of its only layer."""

    host: str
    pulls: int = 0
    """How often a manifest was asked for by `HEAD`, as the engine does it once for every pull."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a layer was asked for."""


@asynccontextmanager
async def misbehaving_registry(status: int | None) -> AsyncGenerator[Misbehaving]:
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readline()).split(b" ")
        if request[0] not in {b"GET", b"HEAD"}:
            return  # a TLS hello
        await reader.readuntil(b"\r\n\r\n")
        if request[1] == b"/v2/":
            writer.write(_answer(200, b"{}"))
        elif status is not None:
            writer.write(_answer(status, _error(status)))
        elif b"/manifests/" in request[1]:
            registry.pulls += request[0] == b"HEAD"
            writer.write(_answer(200, _MANIFEST, MANIFEST))
        elif request[1].endswith(_digest(_CONFIG_BLOB).encode()):
            writer.write(_answer(200, _CONFIG_BLOB))
        else:
            writer.write(_answer(200, _LAYER, "application/octet-stream")[:-1])
            registry.reached.set()
            await reader.read()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        address, port = server.sockets[0].getsockname()
        registry = Misbehaving(f"{address}:{port}")
        yield registry
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(blob: bytes) -> str:
    return f"sha256:{sha256(blob).hexdigest()}"


_LAYER = bytes(100_000)
_CONFIG_BLOB = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [_digest(_LAYER)]}}
).encode()
_MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(_CONFIG_BLOB),
            "digest": _digest(_CONFIG_BLOB),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(_LAYER),
                "digest": _digest(_LAYER),
            }
        ],
    }
).encode()
_CODES = {403: "DENIED", 404: "MANIFEST_UNKNOWN", 429: "TOOMANYREQUESTS"}
"""https://distribution.github.io/distribution/spec/api/#errors-2"""


def _error(status: int) -> bytes:
    return json.dumps({"errors": [{"code": _CODES.get(status, "UNKNOWN"), "message": "as told"}]}).encode()


def _answer(status: int, body: bytes, kind: str = "application/json") -> bytes:
    """To a HEAD, too: the connection ends anyway."""
    head = (
        f"HTTP/1.1 {status} Test\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n"
        f"Docker-Content-Digest: {_digest(body)}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
