"""Clients that send one request over and over, each its next when the last is answered, in a process of their own:
`python -m bench.load PORT CLIENTS REQUESTS` takes the whole request from its standard input, and prints the seconds
that each answer took."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

LONGEST_SECONDS = 300


def seconds(port: int, clients: int, requests: int, request: bytes) -> Sequence[float]:
    """Of all clients together; `requests` is for each."""
    command = [sys.executable, "-m", "bench.load", str(port), str(clients), str(requests)]
    done = subprocess.run(command, input=request, check=True, stdout=subprocess.PIPE, timeout=LONGEST_SECONDS)
    return json.loads(done.stdout)


def post(path: str, body: object, headers: Mapping[str, str]) -> bytes:
    """The request as it goes over the wire."""
    content = json.dumps(body).encode()
    lines = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": len(content),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


async def _client(port: int, requests: int, request: bytes) -> Sequence[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken: list[float] = []
    for _ in range(requests):
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        taken.append(time.perf_counter() - began)
        if not head.startswith(b"http/1.1 201"):
            raise RuntimeError(body.decode())
    writer.close()
    return taken


async def _clients(port: int, clients: int, requests: int, request: bytes) -> Sequence[float]:
    async with asyncio.TaskGroup() as together:
        tasks = [together.create_task(_client(port, requests, request)) for _ in range(clients)]
    return [each for task in tasks for each in task.result()]


if __name__ == "__main__":
    number, many, times = map(int, sys.argv[1:])
    print(json.dumps(asyncio.run(_clients(number, many, times, sys.stdin.buffer.read()))))
