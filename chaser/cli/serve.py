"""`chaser serve`"""

import typer

from chaser.cli.failure import reported


def serve() -> None:
    """Run the service: the API, GitHub's webhooks, and the runs."""
    with reported(json=False):
        from chaser.cli.service import local_settings  # only when it runs

        settings = local_settings()
        from chaser import app

        raise typer.Exit(app.serve(settings))
