"""The machine as the tests look at it: its Docker engine, and its processes."""

import json
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SMALL = "chaser-small:latest"
DEFAULT = "chaser-default:latest"
INSTANCE = "chaser.instance"


@dataclass(frozen=True, slots=True)
class Docker:
    """An engine, through the docker program; `host` of none: the machine's own."""

    host: str | None = None

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> str:
        """What it prints, stripped. Fails the test with its words if it fails."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        at = [] if self.host is None else ["--host", self.host]
        return subprocess.run(["docker", *at, *arguments], input=stdin, capture_output=True, check=False)

    def containers(self, instance: str, *, running: bool = False) -> Sequence[str]:
        """The full ids of an instance's containers, ended ones too unless only `running` ones are asked for."""
        which = () if running else ("--all",)
        return self("ps", *which, "--quiet", "--no-trunc", "--filter", f"label={INSTANCE}={instance}").split()

    def volumes(self, instance: str) -> Sequence[str]:
        return self("volume", "ls", "--quiet", "--filter", f"label={INSTANCE}={instance}").split()

    @contextmanager
    def lives(self, instance: str) -> Generator[list[tuple[str, str]]]:
        """How the engine tells of the instance's containers during the block, in order: `start` or `die`, and which.

        The list is filled when the block has ended.
        """
        at = [] if self.host is None else ["--host", self.host]
        which = ["--filter", "type=container", "--filter", f"label={INSTANCE}={instance}"]
        shown = ["--filter", "event=start", "--filter", "event=die", "--format", "{{.Action}} {{.ID}}"]
        told: list[tuple[str, str]] = []
        command = ["docker", *at, "events", "--since", self("info", "--format", "{{.SystemTime}}")]
        with subprocess.Popen([*command, *which, *shown], stdout=subprocess.PIPE, text=True) as process:
            try:
                yield told
            finally:
                process.terminate()
            assert process.stdout is not None
            for line in process.stdout:
                action, _, container = line.strip().partition(" ")
                told.append((action, container))

    def inspect(self, container: str) -> dict[str, Any]:
        return json.loads(self("inspect", container))[0]

    def remove_all(self, instance: str) -> None:
        if left := self.containers(instance):
            self.run("rm", "--force", "--volumes", *left)
        if kept := self.volumes(instance):
            self.run("volume", "rm", "--force", *kept)


def most_at_once(lives: Sequence[tuple[str, str]]) -> int:
    """Of containers that were told of as they started and died."""
    running: set[str] = set()
    most = 0
    for action, container in lives:
        if action == "start":
            running.add(container)
        else:
            running.remove(container)
        most = max(most, len(running))
    assert not running
    return most


def build_image(name: str) -> None:
    """Build `images/<name>` if the engine does not have it."""
    done = subprocess.run([ROOT / "images" / name / "build"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"images/{name}/build: {done.stderr}"


def processes_with(marker: str) -> Sequence[int]:
    """The processes of this machine, those of all its containers among them, with `marker` in their arguments."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended just now
            if marker.encode() in arguments:
                found.append(int(entry.name))
    return found
