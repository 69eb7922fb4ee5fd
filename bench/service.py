"""The real program on a port of its own, for the time of a measurement."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGE = "chaser-small:latest"


@dataclass(frozen=True, slots=True)
class Service:
    port: int
    key: str
    pid: int

    def exec(self, command: str, **fields: object) -> dict[str, Any]:
        """One run without network, and its answer."""
        return self.call(
            "POST", "/v1/exec", {"command": command, "image": IMAGE, "network": "none", **fields}
        )

    def await_warm(self) -> None:
        """Until all the sandboxes that it is to keep ready are."""
        deadline = time.monotonic() + 60
        while (measures := self._measures())["chaser_warm_ready"] < measures["chaser_warm_wanted"]:
            if time.monotonic() > deadline:
                raise RuntimeError("no sandbox has become ready; the service's log says why")
            time.sleep(0.02)

    def _measures(self) -> dict[str, float]:
        """The sums over all labels."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/metrics", headers={"Authorization": f"Bearer {self.key}"}
        )
        sums: dict[str, float] = {}
        with urllib.request.urlopen(asked) as answer:
            for line in answer.read().decode().splitlines():
                if not line.startswith("#"):
                    labelled, _, value = line.rpartition(" ")
                    name = labelled.partition("{")[0]
                    sums[name] = sums.get(name, 0) + float(value)
        return sums

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request, and its answer. Raises `RuntimeError` for anything but a success."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        # The standard library's client: a heavier one would be measured along with the service.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(answer.decode())
        return json.loads(answer)

    def resident_bytes(self) -> int:
        return self._memory("VmRSS")

    def peak_bytes(self) -> int:
        return self._memory("VmHWM")

    def _memory(self, field: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
        raise LookupError(field)


@contextmanager
def running(**settings: str) -> Generator[Service]:
    """`chaser serve` with embedded defaults; `settings` are environment variables."""
    with tempfile.TemporaryDirectory(prefix="chaser-bench-") as folder:
        port = free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CHASER_")},
            "CHASER_DATA_DIR": folder,
            "CHASER_PORT": str(port),
            "CHASER_LOG_LEVEL": "warning",
            "CHASER_LIMITS__RATE": "1000000/minute",
            **settings,
        }
        with Path(folder, "service.log").open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "chaser", "serve"], env=environment, stdout=output, stderr=output
            )
        try:
            key = Path(folder, "first.key")
            url = f"http://127.0.0.1:{port}"
            _await_ready(url, process)
            yield Service(port, key.read_text().strip(), process.pid)
        finally:
            process.terminate()
            process.wait()


def _await_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz"):
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the service did not become ready; run `chaser doctor`")


def await_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until something listens there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
