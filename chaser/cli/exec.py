"""`chaser exec`: one command in a fresh sandbox, its output live, its exit status this program's."""

import sys
from typing import Annotated

import typer

from chaser.cli.exec_request import Asked
from chaser.cli.failure import reported

_LIMITS = "Within the profile's maxima"


def exec_(
    words: Annotated[
        list[str],
        typer.Argument(metavar='"CMD" | -- ARG…', help="A shell command in quotes, or words after --."),
    ],
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="A fresh sandbox, of which nothing is kept (so it is anyway).")
    ] = False,
    image: Annotated[str | None, typer.Option(help="The image; else the profile's.")] = None,
    profile: Annotated[str | None, typer.Option(help="The sandbox shape; else default.")] = None,
    network: Annotated[str | None, typer.Option(help="none or internet; else the profile's.")] = None,
    isolation: Annotated[
        str | None, typer.Option(help="strict, standard or sudo; else the profile's.")
    ] = None,
    cwd: Annotated[str | None, typer.Option(help="An absolute path; else the image's WORKDIR.")] = None,
    timeout: Annotated[str | None, typer.Option(help="How long it may run: 90s, 15m, 2h.")] = None,
    queue_timeout: Annotated[str | None, typer.Option(help="How long it may wait for its turn.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V | NAME", help="A variable; NAME takes its value from here."),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A variable from here that shows as *** in all output."),
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Hand over what this program reads on stdin.")
    ] = False,
    user: Annotated[str | None, typer.Option(help="A name or uid[:gid]; else the image's USER.")] = None,
    cpus: Annotated[float | None, typer.Option(help=f"{_LIMITS}, such as 1.5.")] = None,
    memory: Annotated[str | None, typer.Option(help=f"{_LIMITS}, such as 512m or 4g.")] = None,
    pids: Annotated[int | None, typer.Option(help=f"{_LIMITS}.")] = None,
    pull: Annotated[str | None, typer.Option(help="missing, always or never.")] = None,
    split: Annotated[bool, typer.Option("--split", help="Keep stdout and stderr apart.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Run a command in a fresh sandbox.

    Exit status: the command's own; else 124 timed out, 125 the service failed or cannot be reached, 126 refused by
    policy, 127 image not found, 130 and 143 interrupted (the run is cancelled first), 137 out of memory.
    """
    with reported(json=json):
        asked = Asked(
            command=_command(words, separated="--" in sys.argv),
            ephemeral=ephemeral,
            image=image,
            profile=profile,
            network=network,
            isolation=isolation,
            cwd=cwd,
            timeout=timeout,
            queue_timeout=queue_timeout,
            env=env or [],
            secrets=secret or [],
            stdin=stdin,
            user=user,
            cpus=cpus,
            memory=memory,
            pids=pids,
            pull=pull,
            split=split,
        )
        from chaser.cli.exec_live import execute  # httpx and asyncio, only when it runs

        raise typer.Exit(execute(asked, json=json))


def _command(words: list[str], *, separated: bool) -> str:
    """One word is a shell command, unless it came after `--`: there each word is an argument, quoted as such."""
    if separated:
        import shlex  # not for every start

        return shlex.join(words)
    if len(words) > 1:
        raise typer.BadParameter("give the command in one pair of quotes, or its words after --")
    return words[0]
