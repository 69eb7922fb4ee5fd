"""The processes of the demo: a service with a data directory of its own, and a simulated GitHub. Always ended."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import httpx

from chaser.cli import document
from chaser.cli.failure import Failure
from chaser.cli.http import call, client
from chaser.cli.service import Service
from chaser.secret import Secret

ACCOUNT = "octo-org"
_APP_ID = "1"
_READY_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demo plays on. `environ` is for programs that talk to the service; `github` is the other one's address."""

    service: Service
    github: str
    environ: Mapping[str, str]

    def program(self, module: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one of our programs to its end."""
        command = [sys.executable, "-m", module, *words]
        return subprocess.run(
            command,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )


@contextmanager
def stage(image: str, runner_image: str) -> Generator[Stage]:
    """A service and a simulated GitHub, for as long as the block lasts. Raises `Failure` if one does not start."""
    with ExitStack() as stack:
        stack.enter_context(_terminable())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="chaser-demo-")))
        environ = _environment(folder, image, runner_image)
        url = f"http://127.0.0.1:{environ['CHASER_PORT']}"
        github = stack.enter_context(_simulator(folder, environ, url))
        serving = {**environ, "CHASER_GITHUB__API_URL": github}
        stack.enter_context(_service(folder, serving, url))
        key = (folder / "data" / "first.key").read_text(encoding="ascii").strip()
        service = Service(url, Secret(key))
        stack.callback(_delete_workspaces, service)
        stack.callback(_cancel_all, service)
        yield Stage(service, github, {**serving, "CHASER_API_URL": url, "CHASER_API_KEY": key})


def _cancel_all(service: Service) -> None:
    """A run outlives its service, to be found by the next start; here there is none. Usually nothing runs any more."""
    with suppress(Failure):
        for status in ("queued", "starting", "running"):
            page = call(service, "GET", "/v1/jobs", {"status": status})
            for job in [str(document.table(each).get("id")) for each in document.items(page.get("data"))]:
                with suppress(Failure):
                    call(service, "POST", f"/v1/jobs/{job}/cancel")
                call(service, "GET", f"/v1/jobs/{job}", {"wait_ms": "20000"})


def _delete_workspaces(service: Service) -> None:
    """They are kept by the engine, and would outlast the service."""
    with suppress(Failure):
        page = call(service, "GET", "/v1/workspaces")
        for each in document.items(page.get("data")):
            with client(service) as made:
                made.delete(f"/v1/workspaces/{document.table(each).get('id')}", params={"force": "true"})


def _environment(folder: Path, image: str, runner_image: str) -> Mapping[str, str]:
    """The defaults, whatever this shell says, except where the engine is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHASER_")}
    engine = os.environ.get("CHASER_DOCKER_HOST")
    return {
        **kept,
        **({"CHASER_DOCKER_HOST": engine} if engine else {}),
        "CHASER_DATA_DIR": str(folder / "data"),
        "CHASER_PORT": str(_free_port()),
        "CHASER_PROFILES__DEFAULT__IMAGE": image,
        "CHASER_PROFILES__DEFAULT__RUNNER_IMAGE": runner_image,
        # nothing that the demo runs needs one, and it works where no firewall rules can be set
        "CHASER_PROFILES__DEFAULT__NETWORK": "none",
        "CHASER_GITHUB__APP_ID": _APP_ID,
        "CHASER_GITHUB__PRIVATE_KEY_FILE": str(folder / "app.pem"),
        "CHASER_GITHUB__WEBHOOK_SECRET": secrets.token_urlsafe(24),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _simulator(folder: Path, environ: Mapping[str, str], service: str) -> Generator[str]:
    """Yields its address, which is the first that it prints, once it listens. It delivers to the service."""
    words = (
        "chaser.simulator",
        "serve",
        "--port",
        "0",
        "--app-id",
        _APP_ID,
        "--key",
        str(folder / "app.pem"),
        "--hook-url",
        f"{service}/webhooks/github",
    )
    with _child((*words, "--organization", ACCOUNT), folder, environ, "github.log") as process:
        assert process.stdout is not None
        said = process.stdout.readline().split()
        found = [word for word in said if word.startswith("http://")]
        if not found:
            raise Failure(
                "demo_failed", f"The simulated GitHub did not start:\n{_tail(folder / 'github.log')}", 1
            )
        yield found[0]


@contextmanager
def _service(folder: Path, environ: Mapping[str, str], url: str) -> Generator[None]:
    with _child(("chaser", "serve"), folder, environ, "service.log") as process:
        if not _ready(process, url):
            raise Failure("demo_failed", f"The service did not start:\n{_tail(folder / 'service.log')}", 1)
        yield


def _ready(process: subprocess.Popen[str], url: str) -> bool:
    until = time.monotonic() + _READY_SECONDS
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
        while process.poll() is None and time.monotonic() < until:
            try:
                if client.get("/readyz").is_success:
                    return True
            except httpx.TransportError:
                pass  # it does not listen yet, and has no way to tell a stranger when it does
            time.sleep(0.05)
    return False


@contextmanager
def _child(
    words: Sequence[str], folder: Path, environ: Mapping[str, str], log: str
) -> Generator[subprocess.Popen[str]]:
    """A process in a session of its own, so that Ctrl-C reaches this program only, and this ends it in order."""
    with (
        (folder / log).open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


@contextmanager
def _terminable() -> Generator[None]:
    """SIGTERM unwinds the block, as Ctrl-C does, instead of ending this program on the spot."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
