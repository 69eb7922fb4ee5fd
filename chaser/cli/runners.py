"""`chaser runners`: GitHub's runners that are being made, or are there."""

from typing import Annotated

import typer

from chaser.cli.failure import reported

commands = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Look at the runners of GitHub's jobs."
)


@commands.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the runners that are being made, or are there."""
    with reported(json=json):
        from chaser.cli import github_calls  # httpx, only when it runs

        github_calls.runners(json=json)
