"""The commands, put together. What a command needs is imported when it runs: `--help` must be quick."""

from typing import Annotated

import typer

from chaser import __version__
from chaser.cli import (
    demo,
    doctor,
    exec,
    github,
    github_jobs,
    github_latency,
    jobs,
    keys,
    runners,
    serve,
    workspaces,
)

# rich's help pages cost half a second of imports
program = typer.Typer(
    rich_markup_mode=None, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
)
program.command("serve")(serve.serve)
program.command("exec")(exec.exec_)
program.add_typer(jobs.commands, name="jobs")
program.add_typer(workspaces.commands, name="workspaces")
program.add_typer(runners.commands, name="runners")
program.add_typer(keys.commands, name="keys")
github.commands.command("jobs")(github_jobs.jobs)
github.commands.command("why")(github_jobs.why)
github.commands.command("latency")(github_latency.latency)
github.commands.command("approve")(github_jobs.approve)
program.add_typer(github.commands, name="github")
program.command("doctor")(doctor.doctor)
program.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chaser {__version__}")
        raise typer.Exit


@program.callback()
def chaser(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Ephemeral GitHub Actions runners and throwaway sandboxes on your own Docker host."""
