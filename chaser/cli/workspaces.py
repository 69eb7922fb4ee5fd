"""`chaser workspaces`: the folders that stay between runs."""

from pathlib import Path
from typing import Annotated

import typer

from chaser.cli.failure import reported

commands = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Make, list, look into, fill, copy and delete workspaces.",
)

Workspace = Annotated[str, typer.Argument(metavar="W", help="A name, or an id such as wsp_01k9…")]
SnapshotId = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="An id, from `snapshots`.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@commands.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="The next_cursor of the page before.")] = None,
    json: Json = False,
) -> None:
    """List workspaces."""
    with reported(json=json):
        from chaser.cli import workspaces_calls  # httpx, only when it runs

        workspaces_calls.list_(limit, cursor, json=json)


@commands.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, `.`, `_` and `-`.")],
    image: Annotated[str | None, typer.Option(help="What its runs use; else their profile's image.")] = None,
    clone_from: Annotated[
        str | None, typer.Option(metavar="W", help="Begin with another one's files.")
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Delete it when unused for so long: 12h, 30d.")
    ] = None,
    quota: Annotated[str | None, typer.Option(metavar="SIZE", help="How much it may hold: 4g.")] = None,
    json: Json = False,
) -> None:
    """Make a workspace. A run that names a new one makes it too."""
    with reported(json=json):
        from chaser.cli import workspaces_calls

        workspaces_calls.create(name, image, clone_from, ttl, quota, json=json)


@commands.command("get")
def get(workspace: Workspace, json: Json = False) -> None:
    """Show one workspace: its size, its last use, who is in it."""
    with reported(json=json):
        from chaser.cli import workspaces_calls

        workspaces_calls.get(workspace, json=json)


@commands.command("delete")
def delete(
    workspace: Workspace,
    force: Annotated[bool, typer.Option("--force", help="Cancel what uses it.")] = False,
    json: Json = False,
) -> None:
    """Delete a workspace and all that it holds."""
    with reported(json=json):
        from chaser.cli import workspaces_calls

        workspaces_calls.delete(workspace, force=force, json=json)


@commands.command("ls")
def ls(
    workspace: Workspace,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder in it.")] = "",
    json: Json = False,
) -> None:
    """List the files in a folder of a workspace."""
    with reported(json=json):
        from chaser.cli import workspaces_files

        workspaces_files.ls(workspace, path, json=json)


@commands.command("cat")
def cat(
    workspace: Workspace,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file in it.")],
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, the bytes in base64.")
    ] = False,
) -> None:
    """Print a file of a workspace, byte for byte."""
    with reported(json=json):
        from chaser.cli import workspaces_files

        raise typer.Exit(workspaces_files.cat(workspace, path, json=json))


@commands.command("push")
def push(
    workspace: Workspace,
    source: Annotated[Path, typer.Argument(metavar="DIR", exists=True, help="A folder here.")] = Path(),
    path: Annotated[str, typer.Option("--path", help="The folder in it to push to; else its top.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="All of it: .git, and what .gitignore names, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Put a folder's files into a workspace, but what .gitignore names. Other files stay as they are."""
    with reported(json=json):
        from chaser.cli import workspaces_files

        workspaces_files.push(workspace, source, path, everything=everything, json=json)


@commands.command("pull")
def pull(
    workspace: Workspace,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A folder here; made if it is not there.")],
    path: Annotated[str, typer.Option("--path", help="The file or folder in it to pull; else all.")] = "",
    json: Json = False,
) -> None:
    """Bring a workspace's files here. Nothing is written outside DIR, nor into a .git folder."""
    with reported(json=json):
        from chaser.cli import workspaces_files

        raise typer.Exit(workspaces_files.pull(workspace, target, path, json=json))


@commands.command("snapshot")
def snapshot(
    workspace: Workspace,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    json: Json = False,
) -> None:
    """Keep what a workspace holds now, to come back to."""
    with reported(json=json):
        from chaser.cli import workspaces_calls

        workspaces_calls.snapshot(workspace, name, json=json)


@commands.command("snapshots")
def snapshots(workspace: Workspace, json: Json = False) -> None:
    """List a workspace's snapshots."""
    with reported(json=json):
        from chaser.cli import workspaces_calls

        workspaces_calls.snapshots(workspace, json=json)


@commands.command("restore")
def restore(workspace: Workspace, snapshot: SnapshotId, json: Json = False) -> None:
    """Make a workspace what it was in a snapshot."""
    with reported(json=json):
        from chaser.cli import workspaces_calls

        workspaces_calls.restore(workspace, snapshot, json=json)


@commands.command("forget")
def forget(workspace: Workspace, snapshot: SnapshotId, json: Json = False) -> None:
    """Delete a snapshot."""
    with reported(json=json):
        from chaser.cli import workspaces_calls

        workspaces_calls.forget(workspace, snapshot, json=json)
