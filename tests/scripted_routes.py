"""A tiny service whose routes answer as a test says, and which can go away and come back: real HTTP for the real program."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

KEY = "sk_of_the_test"
JOB = "job_0000000000000000000000test"
PATIENCE = 60.0
"""Seconds after which a test that waits for the program gives up."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)


class Reply:
    """The answer to one call, in the hands of a script."""

    def __init__(self, handler: BaseHTTPRequestHandler, call: Call) -> None:
        self._handler = handler
        self.call = call

    def document(self, document: object, status: int = 200) -> None:
        self.whole(json.dumps(document).encode(), "application/json", status)

    def refuse(self, status: int, code: str, details: Mapping[str, object] | None = None) -> None:
        error = {"code": code, "message": f"Told: {code}.", "details": details or {}}
        self.document({"error": error}, status)

    def whole(self, body: bytes, media: str = "application/octet-stream", status: int = 200) -> None:
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", media)
        self._handler.send_header("Content-Length", str(len(body)))
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def begin(self, media: str = "application/x-ndjson") -> None:
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", media)
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def piece(self, data: bytes) -> None:
        self._handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._handler.wfile.flush()

    def end(self) -> None:
        self._handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """As a service that is killed leaves a connection: not ended, and closed."""
        self._handler.close_connection = True

    def frames(self, frames: Sequence[Mapping[str, object]]) -> None:
        """Those that the call's `after` asks for."""
        after = int(self.call.query.get("after", "0"))
        for each in frames:
            if int(str(each["seq"])) > after:
                self.piece(json.dumps(each).encode() + b"\n")


Play = Callable[[Reply], None]


@dataclass
class Service:
    """`routes` has for each `METHOD /path` what becomes of its calls, one after the other; the last stays."""

    routes: dict[str, list[Play]]
    calls: list[Call] = field(default_factory=list[Call])
    port: int = 0
    _server: ThreadingHTTPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()

    def stop(self) -> None:
        """Connections that are there stay; new ones are refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def of(self, route: str) -> list[Call]:
        """The calls of a route that have come."""
        return [call for call in self.calls if f"{call.method} {call.path}" == route]

    def next_play(self, call: Call) -> Play | None:
        with self._lock:
            self.calls.append(call)
            plays = self.routes.get(f"{call.method} {call.path}", [])
            return plays.pop(0) if len(plays) > 1 else plays[0] if plays else None


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            url = urlsplit(self.path)
            call = Call(
                self.command, unquote(url.path), dict(parse_qsl(url.query)), dict(self.headers), _body(self)
            )
            play = service.next_play(call)
            reply = Reply(self, call)
            if call.headers.get("Authorization") != f"Bearer {KEY}":
                reply.refuse(401, "unauthorized")
            elif play is None:
                reply.refuse(404, "not_found")
            else:
                play(reply)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:
            """Tests have no use for it."""

    return Handler


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def _environ(url: str, folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHASER_")}
    return {**kept, "HOME": str(folder), "CHASER_API_URL": url, "CHASER_API_KEY": KEY, **(more or {})}


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "chaser", *words]


def begun(url: str, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """The program, while it runs."""
    return subprocess.Popen(
        _command(*words),
        env=_environ(url, folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def chaser(
    url: str, folder: Path, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        _command(*words),
        env=_environ(url, folder, env),
        cwd=folder,
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
