"""What a run was asked to be, and the request that says so."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from chaser.cli.durations import milliseconds
from chaser.cli.place import Place
from chaser.cli.variables import Variables

_LIMITS = "Within the profile's maxima"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of one command's run, as they were typed."""

    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="A fresh sandbox, of which nothing is kept (so it is anyway).")
    ] = False
    image: Annotated[str | None, typer.Option(help="The image; else the profile's.")] = None
    network: Annotated[str | None, typer.Option(help="none or internet; else the profile's.")] = None
    isolation: Annotated[str | None, typer.Option(help="strict, standard or sudo; else the profile's.")] = (
        None
    )
    cwd: Annotated[
        str | None,
        typer.Option(
            help="An absolute path; else /workspace with a workspace or files, or the image's WORKDIR."
        ),
    ] = None
    timeout: Annotated[str | None, typer.Option(help="How long it may run: 90s, 15m, 2h.")] = None
    stdin: Annotated[bool, typer.Option("--stdin", help="Hand over what this program reads on stdin.")] = (
        False
    )
    user: Annotated[str | None, typer.Option(help="A name or uid[:gid]; else the image's USER.")] = None
    cpus: Annotated[float | None, typer.Option(help=f"{_LIMITS}, such as 1.5.")] = None
    memory: Annotated[str | None, typer.Option(help=f"{_LIMITS}, such as 512m or 4g.")] = None
    pids: Annotated[int | None, typer.Option(help=f"{_LIMITS}.")] = None
    pull: Annotated[str | None, typer.Option(help="missing, always or never.")] = None
    split: Annotated[bool, typer.Option("--split", help="Keep stdout and stderr apart.")] = False

    def fields(
        self, command: str, variables: Variables, place: Place, environ: Mapping[str, str]
    ) -> dict[str, object]:
        """The request's fields; what was not said is left to the service."""
        limits = said({"cpus": self.cpus, "memory": self.memory, "pids": self.pids})
        return said(
            {
                "command": command,
                "ephemeral": self.ephemeral or None,
                "image": self.image,
                "network": self.network,
                "isolation": self.isolation,
                "cwd": self.cwd,
                "timeout_ms": milliseconds(self.timeout),
                **place.fields(),
                **variables.fields(environ),
                "stdin": _stdin() if self.stdin else None,
                "user": self.user,
                "pull": self.pull,
                "limits": limits or None,
                "streams": "split" if self.split else None,
            }
        )


def said(fields: Mapping[str, object]) -> dict[str, object]:
    """Without what was not said."""
    return {name: value for name, value in fields.items() if value is not None}


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(
            "--stdin takes UTF-8 text; encode other data, for example with base64"
        ) from None
