"""Options for files: which go into the sandbox before a run, and which come back after it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    in_: Annotated[
        list[Path] | None,
        typer.Option(
            "--in",
            metavar="DIR",
            exists=True,
            help="Hand over this folder's files, but what .gitignore names.",
        ),
    ] = None
    in_path: Annotated[
        str, typer.Option("--in-path", metavar="PATH", help="Where they go, from the working directory on.")
    ] = "."
    in_all: Annotated[
        bool, typer.Option("--in-all", help="Hand over all of it: .git, and what .gitignore names, too.")
    ] = False
    out: Annotated[
        list[str] | None,
        typer.Option("--out", metavar="GLOB", help="Bring these files back, whatever the result: 'dist/**'."),
    ] = None
    out_dir: Annotated[
        Path, typer.Option("--out-dir", metavar="DIR", help="Where they go; else the current folder.")
    ] = Path()
