"""`chaser github`: on the service's machine, with its own settings and store."""

from typing import Annotated

import typer

from chaser.cli.failure import reported

commands = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Connect the service to GitHub, and check that it is."
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@commands.command("setup")
def setup(json: Json = False) -> None:
    """Print a link to the page that makes the GitHub App. It is good once, and for an hour."""
    with reported(json=json):
        from chaser.cli import github_local  # the store, only when it runs

        github_local.setup(json=json)


@commands.command("status")
def status(json: Json = False) -> None:
    """Check the App, its webhook, its installations, and what runners need here. Exit status: 0 well, 1 not."""
    with reported(json=json):
        from chaser.cli import github_local

        raise typer.Exit(0 if github_local.status(json=json) else 1)


@commands.command("rotate-secret")
def rotate_secret(json: Json = False) -> None:
    """Give the webhook of the App that the setup page made a new secret. No delivery is lost meanwhile."""
    with reported(json=json):
        from chaser.cli import github_local

        github_local.rotate_secret(json=json)
