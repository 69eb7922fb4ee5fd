"""Options that say where a run takes place: its sandbox's shape, and the workspace that it works in."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    profile: Annotated[str | None, typer.Option(help="The sandbox shape; else default.")] = None
    workspace: Annotated[
        str | None,
        typer.Option(
            metavar="W", help="A workspace by name or id, mounted at /workspace; made at its first use."
        ),
    ] = None
    workspace_mode: Annotated[
        str | None,
        typer.Option(
            help="exclusive: one run at a time, changes kept; copy: a throwaway copy, many at once."
        ),
    ] = None

    def fields(self) -> dict[str, str]:
        named = {
            "profile": self.profile,
            "workspace": self.workspace,
            "workspace_mode": self.workspace_mode,
        }
        return {name: value for name, value in named.items() if value is not None}
