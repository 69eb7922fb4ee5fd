"""What `chaser exec` was asked for, and the request that says so."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import typer

from chaser.cli.durations import milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options as they were typed."""

    command: str
    ephemeral: bool = False
    image: str | None = None
    profile: str | None = None
    network: str | None = None
    isolation: str | None = None
    cwd: str | None = None
    timeout: str | None = None
    queue_timeout: str | None = None
    env: Sequence[str] = field(default=(), repr=False)
    secrets: Sequence[str] = ()
    stdin: bool = False
    user: str | None = None
    cpus: float | None = None
    memory: str | None = None
    pids: int | None = None
    pull: str | None = None
    split: bool = False

    def request(self, environ: Mapping[str, str]) -> dict[str, object]:
        """The body of `POST /v1/exec`; what was not said is left to the service."""
        limits = _said({"cpus": self.cpus, "memory": self.memory, "pids": self.pids})
        return _said(
            {
                "command": self.command,
                "ephemeral": self.ephemeral or None,
                "image": self.image,
                "profile": self.profile,
                "network": self.network,
                "isolation": self.isolation,
                "cwd": self.cwd,
                "timeout_ms": milliseconds(self.timeout),
                "queue_timeout_ms": milliseconds(self.queue_timeout),
                "env": dict(_variable(each, environ) for each in self.env) or None,
                "secrets": {name: _from_here(name, environ) for name in self.secrets} or None,
                "stdin": _stdin() if self.stdin else None,
                "user": self.user,
                "pull": self.pull,
                "limits": limits or None,
                "streams": "split" if self.split else None,
            }
        )


def _said(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _variable(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return name, value if equals else _from_here(name, environ)


def _from_here(name: str, environ: Mapping[str, str]) -> str:
    if "=" in name:
        raise typer.BadParameter(
            "--secret takes a name only; a value on the command line would be seen by others"
        )
    if name not in environ:
        raise typer.BadParameter(f"{name} is not set in this environment")
    return environ[name]


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(
            "--stdin takes UTF-8 text; encode other data, for example with base64"
        ) from None
