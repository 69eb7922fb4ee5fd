"""Carrying out `chaser github`."""

import asyncio

from chaser import app
from chaser.cli import github_calls, output
from chaser.cli.failure import Failure
from chaser.cli.findings import report
from chaser.cli.service import local_settings
from chaser.errors import Refused


def setup(*, json: bool) -> None:
    settings = local_settings()
    link = asyncio.run(app.setup_link(settings))
    if json:
        output.document({"url": link, "expires_in": 3600})
        return
    output.line(link)
    output.note("Open it in your browser, while the service runs. It is good once, and for an hour.")
    if settings.public_url is None:
        output.note(
            "GitHub must reach this service: set public_url (CHASER_PUBLIC_URL) to its address from outside."
        )


def status(*, json: bool) -> bool:
    """Whether all is well, warnings aside."""
    findings = asyncio.run(app.inspect_github(local_settings()))
    budget = github_calls.budget()
    well = report(findings, json=json, beside={"budget": budget})
    if not json:
        github_calls.show_budget(budget)
    return well


def rotate_secret(*, json: bool) -> None:
    settings = local_settings()
    if not json:
        output.note("Waiting until every process of the service knows the new secret.")
    try:
        turned = asyncio.run(app.turn_webhook_secret(settings))
    except Refused as error:
        raise Failure(error.reason.value, error.message, exit_status=1) from error
    if json:
        output.document({"app": turned.slug, "rotated": True})
    else:
        output.note(
            f"GitHub signs with the new secret of {turned.slug} now; the one before is still accepted."
        )
