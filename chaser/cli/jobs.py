"""`chaser jobs`: what is queued, what was accepted, and what became of it."""

import sys
from typing import Annotated

import typer

from chaser.cli.command_line import Words, command
from chaser.cli.exec_request import Asked
from chaser.cli.failure import reported
from chaser.cli.options import spread
from chaser.cli.place import Place
from chaser.cli.queueing import Queueing
from chaser.cli.transfers import Transfers
from chaser.cli.variables import Variables

commands = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Queue commands and pipelines; list, read, follow, cancel and retry jobs.",
)

JobId = Annotated[str, typer.Argument(metavar="ID", help="Such as job_01k9…")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@commands.command("exec")
@spread
def exec_(
    words: Words,
    asked: Asked,
    place: Place,
    variables: Variables,
    transfers: Transfers,
    queueing: Queueing,
    json: Json = False,
) -> None:
    """Queue a command; with --wait follow it to its end.

    With --wait the log goes to stderr, the job to stdout, and the exit status is the command's own; else as with
    `chaser exec`. A restart of the service is waited for; if this program is killed, the job is cancelled.
    """
    with reported(json=json):
        typed = command(words, separated="--" in sys.argv)
        from chaser.cli import jobs_submit  # httpx and asyncio, only when it runs

        raise typer.Exit(jobs_submit.exec_(typed, asked, place, variables, transfers, queueing, json=json))


@commands.command("run")
@spread
def run(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; - for stdin.")],
    place: Place,
    variables: Variables,
    transfers: Transfers,
    queueing: Queueing,
    json: Json = False,
) -> None:
    """Queue a pipeline from a file; with --wait follow it to its end.

    The file holds the input of a pipeline.run: `steps`, each with `command`, and what else `chaser jobs kinds` shows.
    """
    with reported(json=json):
        from chaser.cli import jobs_submit

        raise typer.Exit(jobs_submit.run(file, place, variables, transfers, queueing, json=json))


@commands.command("get")
def get(
    job: JobId,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until it has ended; the exit status is then as with jobs exec.")
    ] = False,
    json: Json = False,
) -> None:
    """Show one job."""
    with reported(json=json):
        from chaser.cli import jobs_calls  # httpx, only when it runs

        raise typer.Exit(jobs_calls.get(job, wait=wait, json=json))


@commands.command("list")
def list_(
    status: Annotated[
        str | None, typer.Option(help="queued, starting, running, succeeded, failed or cancelled.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Such as sandbox.exec or github.runner.")] = None,
    workspace: Annotated[str | None, typer.Option(metavar="W", help="A workspace's name or id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="The next_cursor of the page before.")] = None,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    with reported(json=json):
        from chaser.cli import jobs_calls

        query = {
            "status": status,
            "kind": kind,
            "workspace": workspace,
            "limit": str(limit),
            "cursor": cursor,
        }
        jobs_calls.list_({name: value for name, value in query.items() if value is not None}, json=json)


@commands.command("kinds")
def kinds(json: Json = False) -> None:
    """List the kinds of job; with --json also what their input must be."""
    with reported(json=json):
        from chaser.cli import jobs_calls

        jobs_calls.kinds(json=json)


@commands.command("cancel")
def cancel(job: JobId, json: Json = False) -> None:
    """Ask for a job's end."""
    with reported(json=json):
        from chaser.cli import jobs_calls

        jobs_calls.cancel(job, json=json)


@commands.command("retry")
def retry(job: JobId, json: Json = False) -> None:
    """Queue an ended job's request once more, as a new job."""
    with reported(json=json):
        from chaser.cli import jobs_calls

        jobs_calls.retry(job, json=json)


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
