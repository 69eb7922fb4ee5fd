"""Carrying out `chaser doctor`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from chaser import app
from chaser.cli import output
from chaser.cli.service import local_settings
from chaser.errors import ConfigError
from chaser.findings import Finding, State, failed


def examine(*, json: bool) -> bool:
    """Whether all is well, warnings aside."""
    findings = _findings()
    well = all(finding.state is not State.FAILED for finding in findings)
    if json:
        output.document({"ok": well, "checks": [asdict(finding) for finding in findings]})
    else:
        _show(findings)
    return well


def _findings() -> Sequence[Finding]:
    try:
        settings = local_settings()
    except ConfigError as error:
        return [failed("configuration", fault, "See docs/configuration.md.") for fault in error.faults]
    return asyncio.run(app.inspect_installation(settings))


def _show(findings: Sequence[Finding]) -> None:
    colours = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red"}
    rows = [
        (
            output.Cell(finding.state.value, colours[finding.state]),
            finding.check,
            finding.message + (f"\n→ {finding.mend}" if finding.mend else ""),
        )
        for finding in findings
    ]
    output.table(("", "check", "found"), rows)
