"""`chaser github jobs`, `why` and `approve`: what GitHub asked for, asked of the running service."""

from typing import Annotated

import typer

from chaser.cli.failure import reported

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def jobs(
    state: Annotated[
        str | None,
        typer.Option(
            help="waiting, screening, held, refused, planned, starting, online, running, done or cancelled."
        ),
    ] = None,
    repository: Annotated[str | None, typer.Option(metavar="OWNER/NAME")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="The next_cursor of the page before.")] = None,
    json: Json = False,
) -> None:
    """List the workflow jobs that are for this service, newest first."""
    with reported(json=json):
        from chaser.cli import github_calls  # httpx, only when it runs

        query = {"state": state, "repository": repository, "limit": str(limit), "cursor": cursor}
        github_calls.jobs({name: value for name, value in query.items() if value is not None}, json=json)


def why(
    workflow_job: Annotated[
        int, typer.Argument(metavar="ID", help="The number that ends the job's address.")
    ],
    json: Json = False,
) -> None:
    """Say why a workflow job waits, or was refused, and what can be done."""
    with reported(json=json):
        from chaser.cli import github_calls

        github_calls.why(workflow_job, json=json)


def approve(
    workflow_job: Annotated[
        int, typer.Argument(metavar="ID", help="The number that ends the job's address.")
    ],
    json: Json = False,
) -> None:
    """Let a held workflow job run, with all other jobs of its run: first look at what it would run."""
    with reported(json=json):
        from chaser.cli import github_calls

        github_calls.approve(workflow_job, json=json)
