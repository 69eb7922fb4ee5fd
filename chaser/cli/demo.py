"""`chaser demo`"""

from typing import Annotated

import typer

from chaser.cli.failure import reported


def demo(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Try it all out: commands, pipelines and a simulated workflow job in real containers, with no account anywhere."""
    with reported(json=json):
        from chaser.cli.demo_show import show  # only when it runs

        raise typer.Exit(0 if show(json=json) else 1)
