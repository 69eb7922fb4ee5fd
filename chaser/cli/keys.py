"""`chaser keys`: made, listed and revoked in the local store, so that the first one needs no key."""

from typing import Annotated

import typer

from chaser.cli.failure import reported

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Make, list and revoke API keys.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@commands.command("create")
def create(
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(metavar="S", help="Such as exec.write; repeat it.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="All scopes, instead of --scope.")] = False,
    profile: Annotated[list[str] | None, typer.Option(help="A profile that it may use; else all.")] = None,
    max_running: Annotated[
        int | None, typer.Option(min=1, help="How many of its runs may go on at once.")
    ] = None,
    own_jobs: Annotated[bool, typer.Option("--own-jobs", help="It sees only the jobs that it made.")] = False,
    workspace_prefix: Annotated[
        str | None,
        typer.Option(metavar="P", help="It sees and uses only workspaces whose name begins so."),
    ] = None,
    expires_in: Annotated[str | None, typer.Option(metavar="DURATION", help="Such as 30d.")] = None,
    json: Json = False,
) -> None:
    """Make a key, and print it this once."""
    with reported(json=json):
        from chaser.cli import keys_local  # the store, only when it runs

        wanted = keys_local.Wanted(
            name=name,
            scopes=keys_local.chosen(scope or [], full=full),
            profiles=frozenset(profile) if profile else None,
            max_running=max_running,
            own_jobs=own_jobs,
            workspace_prefix=workspace_prefix,
            expires_in=expires_in,
        )
        keys_local.create(wanted, json=json)


@commands.command("list")
def list_(json: Json = False) -> None:
    """List the keys; never the secrets themselves, which are not kept."""
    with reported(json=json):
        from chaser.cli import keys_local

        keys_local.list_(json=json)


@commands.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="Such as key_01k9…, from the list.")],
    json: Json = False,
) -> None:
    """Make a key worthless at once."""
    with reported(json=json):
        from chaser.cli import keys_local

        keys_local.revoke(key, json=json)
