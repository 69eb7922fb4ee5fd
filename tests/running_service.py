"""The real program as a process: `chaser serve` on a port and a data directory of its own, and its client commands."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.images import small_image

PATIENCE = 60.0
"""Seconds after which a test that waits for the program gives up."""


@dataclass(frozen=True)
class RunningService:
    url: str
    folder: Path
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes]

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "chaser", *words]

    def chaser(
        self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """A client command, run to its end."""
        return subprocess.run(
            self.command(*words),
            env={**self.environ, **(env or {})},
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the developer's own settings, and a free port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHASER_")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        **kept,
        "HOME": str(folder),
        "CHASER_DATA_DIR": str(folder / "data"),
        "CHASER_PORT": str(port),
        "CHASER_PROFILES__DEFAULT__IMAGE": small_image(),
        "CHASER_PROFILES__DEFAULT__NETWORK": "none",
        "CHASER_LIMITS__FREE_SPACE_BYTES": "1m",
        "CHASER_LIMITS__DISK_CLEAN_PERCENT": "100",
        "CHASER_LIMITS__DISK_FULL_PERCENT": "100",
        **(more or {}),
    }


@contextmanager
def running_service(folder: Path, more: Mapping[str, str] | None = None) -> Generator[RunningService]:
    environ = environment(folder, more)
    url = f"http://127.0.0.1:{environ['CHASER_PORT']}"
    log = folder / "service.log"
    command = [sys.executable, "-m", "chaser", "serve"]
    with (
        log.open("wb") as stderr,
        subprocess.Popen(command, env=environ, cwd=folder, stderr=stderr) as process,
    ):
        try:
            _until_ready(process, url, log)
            yield RunningService(url, folder, environ, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def _until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """The address is answered by nobody at first, which only asking again can tell."""
    until = time.monotonic() + PATIENCE
    with httpx.Client(trust_env=False) as client:
        while process.poll() is None and time.monotonic() < until:
            try:
                if client.get(f"{url}/readyz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
    raise AssertionError(f"The service is not ready:\n{log.read_text()}")
