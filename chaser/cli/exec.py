"""`chaser exec`: one command in a sandbox, its output live, its exit status this program's."""

import sys
from typing import Annotated

import typer

from chaser.cli.command_line import Words, command
from chaser.cli.exec_request import Asked
from chaser.cli.failure import reported
from chaser.cli.options import spread
from chaser.cli.place import Place
from chaser.cli.transfers import Transfers
from chaser.cli.variables import Variables


@spread
def exec_(
    words: Words,
    asked: Asked,
    place: Place,
    variables: Variables,
    transfers: Transfers,
    queue_timeout: Annotated[str | None, typer.Option(help="How long it may wait for its turn.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Run a command in a fresh sandbox, or in a workspace.

    Exit status: the command's own; else 124 timed out, 125 the service failed or cannot be reached, 126 refused by
    policy, 127 image not found, 130 and 143 interrupted (the run is cancelled first), 137 out of memory.
    """
    with reported(json=json):
        typed = command(words, separated="--" in sys.argv)
        from chaser.cli import exec_live  # httpx and asyncio, only when it runs

        request = exec_live.request(typed, asked, place, variables, queue_timeout)
        raise typer.Exit(exec_live.execute(request, transfers, json=json))
