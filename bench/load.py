"""Clients that send requests, each its next when the last is answered, in a process of their own:
`python -m bench.load PORT CLIENTS RATE` takes the requests from its standard input, each with its length before it, and
prints the seconds that each answer took. With a rate, in requests a second, each has its time, and what it waits beyond that
counts; with 0, it is sent as soon as a client is free."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence

LONGEST_SECONDS = 300
_LENGTH = 4


def seconds(port: int, clients: int, requests: Sequence[bytes], rate: float = 0) -> Sequence[float]:
    """Of all clients together, in no order."""
    command = [sys.executable, "-m", "bench.load", str(port), str(clients), str(rate)]
    framed = b"".join(len(each).to_bytes(_LENGTH) + each for each in requests)
    done = subprocess.run(command, input=framed, check=True, stdout=subprocess.PIPE, timeout=LONGEST_SECONDS)
    return json.loads(done.stdout)


def post(path: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    """The request as it goes over the wire; `content` is JSON."""
    lines = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": len(content),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


async def _client(port: int, requests: Iterator[tuple[float, bytes]]) -> Sequence[float]:
    """`requests`: when each is due, on the clock of `time.perf_counter`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken: list[float] = []
    for due, request in requests:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        began = due or time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        taken.append(time.perf_counter() - began)
        if not head.startswith((b"http/1.1 201", b"http/1.1 202")):
            raise RuntimeError(body.decode())
    writer.close()
    return taken


async def _clients(port: int, clients: int, requests: Sequence[bytes], rate: float) -> Sequence[float]:
    began = time.perf_counter() + 0.1  # by then all are connected
    due = [began + number / rate if rate else 0.0 for number in range(len(requests))]
    timed = list(zip(due, requests, strict=True))
    async with asyncio.TaskGroup() as together:
        tasks = [
            together.create_task(_client(port, iter(timed[number::clients]))) for number in range(clients)
        ]
    return [each for task in tasks for each in task.result()]


def _unframed(framed: bytes) -> Generator[bytes]:
    at = 0
    while at < len(framed):
        begin = at + _LENGTH
        at = begin + int.from_bytes(framed[at:begin])
        yield framed[begin:at]


if __name__ == "__main__":
    number, many = map(int, sys.argv[1:3])
    sent = list(_unframed(sys.stdin.buffer.read()))
    print(json.dumps(asyncio.run(_clients(number, many, sent, float(sys.argv[3])))))
