"""`chaser doctor`"""

from typing import Annotated

import typer

from chaser.cli.failure import reported


def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Check the installation, and say how to mend what is not well."""
    with reported(json=json):
        from chaser.cli.doctor_report import examine  # only when it runs

        raise typer.Exit(0 if examine(json=json) else 1)
