"""Image registries for tests: Debian's `docker-registry` on loopback, and one that misbehaves as it is told."""

import asyncio
import collections
import json
import re
import subprocess
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

USER, PASSWORD = "robot", "correct horse"


@contextmanager
def running_registry(directory: Path, *, with_login: bool) -> Generator[str]:
    """A registry process with a store of its own; yields its `host:port`."""
    config = directory / "registry.yml"
    config.write_text(_CONFIG.format(store=directory / "store") + (_login(directory) if with_login else ""))
    process = subprocess.Popen(["docker-registry", "serve", config], stderr=subprocess.PIPE, text=True)
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
    """A registry that is there, and answers every question for a manifest with `status`; none: not at all."""

    host: str
    asked: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when one who asked, and was not answered, has gone away."""


@asynccontextmanager
async def misbehaving_registry(status: int | None) -> AsyncGenerator[Misbehaving]:
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, _, path = (await reader.readline()).partition(b" ")
        if method not in {b"GET", b"HEAD"}:
            writer.close()  # a TLS hello
            return
        await reader.readuntil(b"\r\n\r\n")
        if path.startswith(b"/v2/ "):
            writer.write(_answer(200, "{}"))
        elif status is not None:
            writer.write(_answer(status, "" if method == b"HEAD" else _error(status)))
        else:
            registry.asked += 1
            registry.reached.set()
            await reader.read()
            registry.left.set()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        address, port = server.sockets[0].getsockname()
        registry = Misbehaving(f"{address}:{port}")
        yield registry
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


_CODES = {403: "DENIED", 404: "MANIFEST_UNKNOWN", 429: "TOOMANYREQUESTS"}
"""https://distribution.github.io/distribution/spec/api/#errors-2"""


def _error(status: int) -> str:
    return json.dumps({"errors": [{"code": _CODES.get(status, "UNKNOWN"), "message": "as told"}]})


def _answer(status: int, body: str) -> bytes:
    head = f"HTTP/1.1 {status} Test\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
