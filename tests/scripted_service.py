"""A tiny service that answers `POST /v1/exec` as a test says: real HTTP, so that the real program can talk to it."""

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk_of_the_test"
JOB = "job_0000000000000000000000test"
PATIENCE = 60.0
"""Seconds after which a test that waits for the program gives up."""


@dataclass
class Script:
    """What the service does, and what it saw."""

    play: Callable[["Answer"], None]
    bodies: list[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])
    cancelled: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    """The client closed its connection."""


class Answer:
    """The answer to one exec, in the hands of a script."""

    def __init__(self, handler: BaseHTTPRequestHandler, script: Script) -> None:
        self._handler = handler
        self.script = script

    def refuse(self, status: int, code: str, details: Mapping[str, object] | None = None) -> None:
        problem = {"error": {"code": code, "message": f"Told: {code}.", "details": details or {}}}
        self._whole(status, "application/json", json.dumps(problem).encode())

    def say(self, status: int, body: bytes) -> None:
        self._whole(status, "text/html", body)

    def begin(self) -> None:
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.send_header("X-Chaser-Job", JOB)
        self._handler.end_headers()
        self.event("started", {"id": JOB, "kind": "sandbox.exec", "status": "starting"})

    def event(self, name: str, data: object) -> None:
        self.raw(f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode())

    def output(self, text: str, stream: str = "output", seq: int = 1) -> None:
        self.event("output", {"seq": seq, "stream": stream, "data": text})

    def result(self, status: str = "succeeded", reason: str | None = None, exit_code: int | None = 0) -> None:
        told = {"id": JOB, "status": status, "reason": reason, "message": None, "exit_code": exit_code}
        self.event("result", told)

    def raw(self, text: bytes) -> None:
        self._handler.wfile.write(text)
        self._handler.wfile.flush()

    def wait_until_left(self) -> None:
        """Blocks until the client closes its connection."""
        while self._handler.connection.recv(1024):
            pass
        self.script.left.set()

    def _whole(self, status: int, media: str, body: bytes) -> None:
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", media)
        self._handler.send_header("Content-Length", str(len(body)))
        self._handler.end_headers()
        self._handler.wfile.write(body)


@contextmanager
def serving(play: Callable[[Answer], None]) -> Generator[tuple[Script, str]]:
    """Yields the script and the service's URL."""
    script = Script(play)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers["Authorization"] != f"Bearer {KEY}":
                Answer(self, script).refuse(401, "unauthorized")
            elif self.path == f"/v1/jobs/{JOB}/cancel":
                script.cancelled.set()
                Answer(self, script).say(202, b"{}")
            elif self.path == "/v1/exec":
                script.bodies.append(json.loads(body))
                script.play(Answer(self, script))
            else:
                Answer(self, script).refuse(404, "not_found")

        def log_message(self, format: str, *args: object) -> None:
            """Tests have no use for it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
