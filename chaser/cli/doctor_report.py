"""Carrying out `chaser doctor`."""

import asyncio
from collections.abc import Sequence

from chaser import app
from chaser.cli.findings import report
from chaser.cli.service import local_settings
from chaser.errors import ConfigError
from chaser.findings import Finding, failed


def examine(*, json: bool) -> bool:
    """Whether all is well, warnings aside."""
    return report(_findings(), json=json)


def _findings() -> Sequence[Finding]:
    try:
        settings = local_settings()
    except ConfigError as error:
        return [failed("configuration", fault, "See docs/configuration.md.") for fault in error.faults]
    return asyncio.run(app.inspect_installation(settings))
