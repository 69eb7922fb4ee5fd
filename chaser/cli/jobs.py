"""`chaser jobs`: what was accepted, and what became of it."""

from typing import Annotated

import typer

from chaser.cli.failure import reported

commands = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="List, read, follow and cancel jobs."
)

JobId = Annotated[str, typer.Argument(metavar="ID", help="Such as job_01k9…")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@commands.command("get")
def get(job: JobId, json: Json = False) -> None:
    """Show one job."""
    with reported(json=json):
        from chaser.cli import jobs_calls  # httpx, only when it runs

        jobs_calls.get(job, json=json)


@commands.command("list")
def list_(
    status: Annotated[
        str | None, typer.Option(help="queued, starting, running, succeeded, failed or cancelled.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Such as sandbox.exec or github.runner.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="The next_cursor of the page before.")] = None,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    with reported(json=json):
        from chaser.cli import jobs_calls

        query = {"status": status, "kind": kind, "limit": str(limit), "cursor": cursor}
        jobs_calls.list_({name: value for name, value in query.items() if value is not None}, json=json)


@commands.command("cancel")
def cancel(job: JobId, json: Json = False) -> None:
    """Ask for a job's end."""
    with reported(json=json):
        from chaser.cli import jobs_calls

        jobs_calls.cancel(job, json=json)


@commands.command("logs")
def logs(
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this seq.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON list of frames.")] = False,
) -> None:
    """Print a job's output, byte for byte."""
    with reported(json=json):
        from chaser.cli import jobs_calls

        raise typer.Exit(jobs_calls.logs(job, follow=follow, after=after, json=json))
